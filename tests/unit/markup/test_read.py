"""A model's Markdown as people see it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from adapters.markup import Rich, html, of, pieces, read
from core.chat import Mark, Reply, Style

ANSWER = """\
## Set up the hub

You need **two** things, *both* free:

1. Python 3.11 or newer
2. A model from [Ollama](https://ollama.com "models")
   - `qwen3:4b` is enough
   - a larger one is slower

> Keep the token secret.
> It opens **everything**.

```bash
make run && echo "<ok>"
```

| model | size | speed |
|:------|-----:|:-----:|
| qwen3 | 2.6 GB | **fast** |
| llama | 40 GB | slow | very |

![the page](page.png) Done & <b>dusted</b>."""

SHOWN = """\
Set up the hub

You need two things, both free:

1. Python 3.11 or newer
2. A model from Ollama (https://ollama.com "models")
   • qwen3:4b is enough
   • a larger one is slower

│ Keep the token secret.
│ It opens everything.

make run && echo "<ok>"

model │   size │ speed
──────┼────────┼───────┼─────
qwen3 │ 2.6 GB │ fast
llama │  40 GB │ slow  │ very

the page (page.png) Done & <b>dusted</b>."""


def test_an_answer_keeps_its_words_and_lines() -> None:
    assert read(ANSWER).text == SHOWN


def test_an_answer_is_set_in_html() -> None:
    source = html(read(ANSWER))
    assert source.startswith("<b>Set up the hub</b>\n\nYou need <b>two</b> things, <i>both</i> free:")
    assert (
        '<pre><code class="language-bash">make run &amp;&amp; echo "&lt;ok&gt;"</code></pre>\n\n<pre>model │' in source
    )
    assert source.endswith("</pre>\n\nthe page (page.png) Done &amp; &lt;b&gt;dusted&lt;/b&gt;.")


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("", ""),
        ("plain", "plain"),
        ("[a]: https://x.y 'kept'", "[a]: https://x.y 'kept'"),
        ("[](https://x.y)", "https://x.y"),
        ("<https://x.y> [https://x.y](https://x.y)", "https://x.y https://x.y"),
        ("[click](javascript:alert(1))", "click (javascript:alert(1))"),
        ("[[a](u1)](u2)", "[a (u1)](u2)"),
        ("3. c\n4. d", "3. c\n4. d"),
        ("- a\n- b\n\ntext", "• a\n• b\n\ntext"),
        ("- a\n\n  b\n- > c", "• a\n\n  b\n• │ c"),
        ("-\n- a", "• \n• a"),
        ("> - a\n> - b\n>\n> c", "│ • a\n│ • b\n│\n│ c"),
        ("a\n***\nb", "a\n———\nb"),
        ("snake_case_name 2*3*4", "snake_case_name 234"),
        ("~~gone~~ &lt;b&gt; \\*", "~~gone~~ <b> *"),
        ("```\n```", "```\n```"),
        ("```python", "python"),
        ("x  \ny\\\nz", "x\ny\nz"),
        ("a | b\n-|-\n\\| | `c`", "a │ b\n──┼──\n| │ c"),
        ("\ud83d half", "\ufffd half"),
    ],
)
def test_small_things(markdown: str, shown: str) -> None:
    assert read(markdown).text == shown


@pytest.mark.parametrize(
    ("info", "language", "above"),
    [
        ("python", "python", ""),
        ("C++", "C++", ""),
        ("c#", "csharp", ""),
        ('py title="app.py"', "py", 'py title="app.py"\n'),
        ('"><b>x', "", '"><b>x\n'),
        ("j" * 31, "j" * 30, "j" * 31 + "\n"),
    ],
)
def test_a_fence_names_its_language_and_loses_nothing(info: str, language: str, above: str) -> None:
    rich = read(f"```{info}\ncode\n```")
    assert rich.text == above + "code"
    assert rich.marks == (Mark(len(above), len(above) + 4, Style.PRE, language),)


def test_code_in_a_list_is_flush_left() -> None:
    rich = read("1. Run\n   ```sh\n   ls\n     -l\n   ```\n2. Look")
    assert rich.text == "1. Run\nls\n  -l\n2. Look"
    assert html(rich) == '1. Run\n<pre><code class="language-sh">ls\n  -l</code></pre>\n2. Look'


def test_wide_letters_stand_in_columns() -> None:
    assert read("|a|b|\n|-|-|\n|日本|x|\n|y|e\u0301|").text == "a    │ b\n─────┼──\n日本 │ x\ny    │ e\u0301"


def test_depth_is_bounded_and_what_is_deeper_stays() -> None:
    assert read(">" * 50 + " end").text == "│ " * 12 + ">" * 38 + " end"


def test_only_a_model_is_read_as_markdown() -> None:
    assert of(Reply("**x**", markdown=True)) == Rich("x", (Mark(0, 1, Style.BOLD),))
    assert of(Reply("**x**", marks=(Mark(0, 2, Style.CODE),))) == Rich("**x**", (Mark(0, 2, Style.CODE),))


def test_a_terminal_gets_styles_and_no_controls() -> None:
    rich = read("**a `b`** \x1b[31m")
    assert pieces(rich) == [
        (frozenset({Style.BOLD}), "a "),
        (frozenset({Style.BOLD, Style.CODE}), "b"),
        (frozenset(), " \ufffd[31m"),
    ]


def test_the_parser_is_not_loaded_until_it_is_needed() -> None:
    code = "import sys; from adapters import markup; markup.cut(markup.Rich('x')); print('markdown_it' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
