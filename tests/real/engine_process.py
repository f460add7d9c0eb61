"""llama.cpp's own server, in a process of its own: `python engine_process.py MODEL PORT WINDOW [KEY]`.

MODEL is a file, or a folder: then the model is made there, of llama's architecture, half a megabyte, nothing learned. Its blocks
pass on what comes in, and its last layer maps each token to the one that follows it in `SAYINGS`: it says these word for word,
after the token that its template ends with.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

EMBEDDING, HEADS, FEED, BLOCKS = 64, 4, 128, 2
WORDS = "abcdefghijklmnopqrstuvwxyz"

SAYINGS = {
    "<|speak|>": ["Hello", " from", " a", " real", " engine", "."],
    "<|call|>": [
        '<tool_call>\n{"name": "',
        "calculate",
        '", "arguments": {"expression',
        '": "6 * 7',
        '"}}\n</tool_call>',
    ],
    "<|told|>": ["That makes", " forty-two", "!"],
    "<|round|>": [" and round", " it goes"],
}
"""What is said after the token that a prompt ends with."""

FOR_EVER = "<|round|>"
"""After the last word of this one comes its first."""

TALK = """\
{%- if tools %}<|im_start|>system
You may call functions, whose signatures are in <tools></tools>:
<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools>
For a call, write a JSON object with its name and arguments within <tool_call></tool_call>:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}
{%- if message.role == "tool" %}<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ message.role }}
{{ message.content or "" }}
{%- if message.tool_calls %}
{%- for call in message.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}
{%- endif %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""A conversation, with functions as a model is told of them that was trained to call some (Qwen's and Hermes' way)."""

TEMPLATE = f"""\
{TALK}
{{%- if add_generation_prompt %}}
{{%- if messages[-1].role == "tool" %}}<|told|>
{{%- elif "round" in messages[-1].content %}}<|round|>
{{%- elif tools %}}<|call|>
{{%- else %}}<|speak|>
{{%- endif %}}
{{%- endif %}}"""


def make(path: Path, window: int) -> None:
    """Write the model."""
    dice = np.random.default_rng(7)
    texts = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", *SAYINGS]
    kinds = [gguf.TokenType.UNKNOWN] + [gguf.TokenType.CONTROL] * (len(texts) - 1)
    texts += [f"<0x{number:02X}>" for number in range(256)]
    kinds += [gguf.TokenType.BYTE] * 256
    said = list(dict.fromkeys([part.replace(" ", "\u2581") for saying in SAYINGS.values() for part in saying]))
    texts += ["\u2581", *WORDS, *said]
    kinds += [gguf.TokenType.NORMAL] * (1 + len(WORDS) + len(said))
    number = {text: place for place, text in enumerate(texts)}
    embedding = dice.normal(0, 1, (len(texts), EMBEDDING)).astype(np.float32)
    output = np.zeros_like(embedding)
    for first, saying in SAYINGS.items():
        chain = [number[part] for part in [first, *(part.replace(" ", "\u2581") for part in saying)]]
        end = chain[1] if first == FOR_EVER else number["</s>"]
        for one, following in zip(chain, [*chain[1:], end], strict=True):
            output[following] += embedding[one]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(window)
    writer.add_embedding_length(EMBEDDING)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    writer.add_vocab_size(len(texts))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_scores([-float(place) for place in range(len(texts))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", np.ones(EMBEDDING, np.float32))
    writer.add_tensor("output.weight", output)
    square, wide, narrow = (EMBEDDING, EMBEDDING), (FEED, EMBEDDING), (EMBEDDING, FEED)
    for block in range(BLOCKS):
        for name, shape in {
            "attn_q": square, "attn_k": square, "attn_v": square, "attn_output": square, "ffn_gate": wide, "ffn_up": wide,
            "ffn_down": narrow,
        }.items():  # fmt: skip
            passes_on = name in {"attn_output", "ffn_down"}
            weights = np.zeros(shape) if passes_on else dice.normal(0, 0.1, shape)
            writer.add_tensor(f"blk.{block}.{name}.weight", weights.astype(np.float32))
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{block}.{name}.weight", np.ones(EMBEDDING, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(model: str, port: str, window: str, key: str = "") -> None:
    """Serve until standard input ends."""
    path = Path(model)
    options = xllamacpp.CommonParams()
    if path.is_dir():
        path /= "tiny.gguf"
        make(path, int(window))
    if path.stem != "tiny":  # a trained one says each time the same to the same, takes functions, and has vectors
        options.sampling.temp, options.sampling.seed = 0, 7
        options.chat_template = TALK
        options.embedding, options.pooling_type = True, xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    options.model.path = str(path)
    options.model_alias = [path.stem]
    options.n_ctx, options.n_parallel = int(window), 1
    options.hostnames, options.port = ["127.0.0.1"], int(port)
    options.cpuparams.n_threads = 1
    options.n_gpu_layers, options.warmup, options.ui, options.offline = 0, False, False, True
    options.use_jinja = True
    if key:
        options.api_keys = [key]
    server = xllamacpp.Server(options)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
