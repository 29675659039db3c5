"""Chat templates in the style of each family, written for these tests."""

from __future__ import annotations

_CHATML = """\
{%- for turn in messages -%}
<|im_start|>{{ turn.role }}
{% for part in turn.content -%}
{%- if part.type == 'image' -%}IMAGE{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""

_CAPTIONED = """\
BEGIN{% for turn in messages -%}
{{ turn.role | capitalize }}:{% for part in turn.content -%}
{%- if part.type == 'image' -%}<image>{%- else -%}{{ ' ' + part.text }}{%- endif -%}
{%- endfor -%}<end_of_utterance>
{% endfor -%}
{%- if add_generation_prompt -%}Assistant:{%- endif -%}
"""

VICUNA = """\
{%- for turn in messages -%}
{%- if turn.role != 'system' -%}{{ turn.role | upper }}: {% endif -%}
{%- for part in turn.content -%}
{%- if part.type == 'image' -%}<image>
{% else -%}{{ part.text }} {% endif -%}
{%- endfor -%}
{%- endfor -%}
{%- if add_generation_prompt -%}ASSISTANT:{%- endif -%}
"""

GEMMA = """\
{{- bos_token -}}
{%- for turn in messages -%}
{%- if turn.role == 'system' -%}{{ raise_exception('no system turn') }}{%- endif -%}
<start_of_turn>{{ 'model' if turn.role == 'assistant' else turn.role }}
{% for part in turn.content -%}
{%- if part.type == 'image' -%}<start_of_image>{%- else -%}{{ part.text | trim }}{%- endif -%}
{%- endfor -%}<end_of_turn>
{% endfor -%}
{%- if add_generation_prompt -%}
<start_of_turn>model
{% endif -%}
"""

# The model's turn is a string here, and a system turn is left out without a word.
PIXTRAL = """\
{{- bos_token -}}
{%- for turn in messages -%}
{%- if turn.role == 'user' -%}
[INST]{% for part in turn.content -%}
{%- if part.type == 'image' -%}[IMG]{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}[/INST]
{%- elif turn.role == 'assistant' -%}{{ ' ' + turn.content + eos_token }}
{%- endif -%}
{%- endfor -%}
"""

QWEN = _CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
ONEVISION = _CHATML.replace("IMAGE", "<image>{{ '\\n' }}")
INTERNVL = _CHATML.replace("IMAGE", "<IMG_CONTEXT>{{ '\\n' }}")
IDEFICS = _CAPTIONED.replace("BEGIN", "")
SMOLVLM = _CAPTIONED.replace("BEGIN", "<|im_start|>")
