"""Chat templates in the style of each family, written for these tests."""

from __future__ import annotations

CHATML = """\
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

# Nothing stands before the model's turn, which is a string, as is the system's; that one is joined to the last
# of the user's. Roles take turns.
PIXTRAL = """\
{{- bos_token -}}
{%- set told = namespace(text='') -%}
{%- if messages[0].role == 'system' -%}
{%- set told.text = messages[0].content + '\\n\\n' -%}
{%- set messages = messages[1:] -%}
{%- endif -%}
{%- for turn in messages -%}
{%- if turn.role != ('assistant' if loop.index0 % 2 else 'user') -%}
{{ raise_exception('roles must take turns') }}
{%- endif -%}
{%- if turn.role == 'user' -%}
[INST]{% if loop.last -%}{{ told.text }}{%- endif -%}
{%- for part in turn.content -%}
{%- if part.type == 'image' -%}[IMG]{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}[/INST]
{%- else -%}{{ turn.content + eos_token }}
{%- endif -%}
{%- endfor -%}
"""

# The first templates of Pixtral called the words of a part its content.
PIXTRAL_CONTENT = PIXTRAL.replace("part.text", "part.content")

# The system turn is left out without a word.
SILENT = """\
{%- for turn in messages if turn.role != 'system' -%}
<|im_start|>{{ turn.role }}
{% for part in turn.content -%}
{%- if part.type == 'image' -%}IMAGE{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""

# Of a language model: joins strings, and asks them how they begin.
TEXT_ONLY = """\
{%- for turn in messages -%}
{%- if turn.content.startswith('<tool_response>') -%}{{ raise_exception('no tools') }}{%- endif -%}
{{ '<|im_start|>' + turn.role + '\\n' + turn.content + '<|im_end|>' + '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""

_SORTED = """\
{%- for turn in messages -%}
{{ turn.role | upper }}: {{ PARTS -}}
{%- endfor -%}
{%- if add_generation_prompt -%}ASSISTANT:{%- endif -%}
"""

_IMAGES = "turn.content | selectattr('type', 'equalto', 'image') | map(attribute='type') | join"
_WORDS = "turn.content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join"

# All images of a turn stand before its words, or after them, whatever their order.
IMAGE_FIRST = _SORTED.replace(
    "PARTS", f"(({_IMAGES}) | replace('image', 'IMAGE\\n')) + ({_WORDS}) + ' '"
)
IMAGE_LAST = _SORTED.replace(
    "PARTS", f"({_WORDS}) + (({_IMAGES}) | replace('image', '\\nIMAGE')) + ' '"
)

QWEN = CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
ONEVISION = CHATML.replace("IMAGE", "<image>{{ '\\n' }}")
INTERNVL = CHATML.replace("IMAGE", "<IMG_CONTEXT>{{ '\\n' }}")
IDEFICS = _CAPTIONED.replace("BEGIN", "")
SMOLVLM = _CAPTIONED.replace("BEGIN", "<|im_start|>")
