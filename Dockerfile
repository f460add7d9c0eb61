# The hub in an image, and an agent of it in another: `make docker-build`. The base can be any image with a shell, libstdc++, and Python 3.11 or newer with
# its venv module as python3.
ARG BASE=python:3.13-slim

# hadolint ignore=DL3006
FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY pyproject.toml requirements.txt ./
COPY docker ./docker
# Only wheels, only with the hashes of requirements.txt, and nothing of the developers' tools. pip itself stays behind, and the
# language models of pocketsphinx, 30 MB, since the hub hears by a grammar; what compilers and type checkers read; and of
# numpy and matplotlib the Fortran compiler's front end, samples, fonts of printers and what embeds them: charts are PNG and SVG;
# and what colours program code, which rich brings.
RUN python3 docker/pins.py run > run.txt && python3 docker/pins.py build > build.txt \
    && python3 -m venv /tools && python3 -m venv --without-pip /opt/timmy \
    && /tools/bin/pip install --require-hashes --no-deps --only-binary :all: -r build.txt \
    && /tools/bin/pip --python /opt/timmy/bin/python3 install --require-hashes --no-deps --only-binary :all: -r run.txt \
    && find /opt/timmy -type d \( -name tests -o -name f2py -o -name sample_data -o -name afm -o -name pdfcorefonts \) -prune \
    -exec rm -r {} + \
    && cd /opt/timmy/lib/python3*/site-packages \
    && find fontTools -mindepth 1 -maxdepth 1 -type d -not -name misc -exec rm -r {} + \
    && find pygments/lexers -name "[a-z]*.py" -delete \
    && find /opt/timmy -type f \( -name "en-us*.lm.bin" -o -name "*.pyi" -o -name "*.h" -o -name "*.c" -o -name "*.px[di]" \
    -o -name "*.pyx" -o -name "*.a" -o -name "*.po" -o -name "*.pot" -o -name "*.exe" \) -delete
# What runs the tests of people's projects in boxes: only agents have it.
RUN python3 docker/pins.py test > test.txt \
    && /tools/bin/pip --python /opt/timmy/bin/python3 install --require-hashes --no-deps --only-binary :all: --target /opt/tests \
    -r test.txt && find /opt/tests/pygments/lexers -name "*.py" -not -name __init__.py -not -name _mapping.py -not -name python.py \
    -not -name diff.py -delete
COPY . .
RUN /tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /tools/bin/pip --python /opt/timmy/bin/python3 install --no-deps --no-index dist/*.whl

# What both have in common.
# hadolint ignore=DL3006
FROM ${BASE} AS program
LABEL org.opencontainers.image.title="Timmy" org.opencontainers.image.licenses="MIT"
RUN echo 'timmy:x:10001:' >> /etc/group \
    && echo 'timmy:x:10001:10001:Timmy:/data:/bin/false' >> /etc/passwd \
    && mkdir -m 700 /data /workspace /run/agent && chown 10001:10001 /data /workspace /run/agent
# espeak-ng, for answers that are spoken: only where it is asked for, since it needs a Debian base and its package server.
ARG SPEAKS=
RUN if [ -n "$SPEAKS" ]; then apt-get update && apt-get install --yes --no-install-recommends espeak-ng \
    && rm -rf /var/lib/apt/lists/*; fi
COPY --chown=10001:10001 config/workspace/ /workspace/
ENV PATH=/opt/timmy/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    TIMMY_DATA_DIR=/data TIMMY_WORKSPACE=/workspace
USER 10001:10001
WORKDIR /

# The program is large, so it comes last in each: storage without layers copies all that is there at every step.
FROM program AS agent
CMD ["timmy", "worker"]
ENV PYTHONPATH=/opt/tests
COPY --from=build /opt/tests /opt/tests
COPY --from=build /opt/timmy /opt/timmy

FROM program AS hub
# An empty named volume takes these over at first use.
VOLUME ["/data", "/workspace"]
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python3", "-I", "-c", \
    "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('TIMMY_HTTP_PORT', '8080') + '/healthz', timeout=4)"]
CMD ["timmy", "run"]
COPY --from=build /opt/timmy /opt/timmy
