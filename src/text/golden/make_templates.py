#!/usr/bin/env python3
"""Writes templates.json: chat templates with the constructs that published ones use, and what Jinja2 (3.1, set up as
Transformers does) makes of conversations with them: text, and the character spans of {% generation %} blocks.
    python3 make_templates.py
The templates are written for this test after the shapes of known families; they are not theirs.
"""
import json
import os

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

SPANS = []


class Generation(jinja2.ext.Extension):
    """Wraps what a block renders in two private characters, which are taken out again afterwards."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("wrap"), [], [], body).set_lineno(line)

    def wrap(self, caller):
        return "\ue000" + caller() + "\ue001"


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


ENV = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
ENV.filters["tojson"] = tojson
ENV.globals["raise_exception"] = raise_exception


def render(source, variables):
    try:
        text = ENV.from_string(source).render(**variables)
    except Exception as error:  # noqa: BLE001: whatever it is, ours must refuse too
        return {"error": type(error).__name__}
    spans, plain = [], ""
    for c in text:
        if c == "\ue000":
            spans.append([len(plain), None])
        elif c == "\ue001":
            next(s for s in reversed(spans) if s[1] is None)[1] = len(plain)
        else:
            plain += c
    return {"text": plain, "spans": spans}


WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather \"now\" <here> & there", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "城市"}, "days": {"type": ["integer", "null"], "default": 3},
                                     "units": {"type": "array", "items": {"type": "string", "enum": ["C", "F"]}}}, "required": ["city"]}}}
CALL = {"id": "abc123def", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "北京", "days": 2, "ok": True, "none": None, "x": 1.5}}}
TEXT_CALL = {"id": "abc123def", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Paris\"}"}}
SYSTEM = {"role": "system", "content": "  Be kind. 请用中文。\n"}
USER = {"role": "user", "content": "Hello <b>you</b> 'x' \"y\"\n"}
ANSWER = {"role": "assistant", "content": " Hi 😀 there "}
THOUGHT = {"role": "assistant", "content": "<think>\nhmm\nwell\n</think>\n\nForty-two."}
CONVERSATIONS = {
    "one turn": {"messages": [USER]},
    "system and three turns": {"messages": [SYSTEM, USER, ANSWER, {"role": "user", "content": "再见"}, THOUGHT, USER], "add_generation_prompt": True},
    "answered": {"messages": [USER, THOUGHT, USER, ANSWER]},
    "tools": {"messages": [SYSTEM, USER, {"role": "assistant", "content": "", "tool_calls": [CALL, TEXT_CALL]},
                           {"role": "tool", "name": "get_weather", "tool_call_id": "abc123def", "content": "{\"t\": 21}"}, {"role": "tool", "content": "22", "tool_call_id": "x"}, ANSWER],
              "tools": [WEATHER], "add_generation_prompt": True},
    "one call": {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "content": {"t": [1, 2.0]}}], "tools": [WEATHER, WEATHER], "add_generation_prompt": True},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": " look "}, {"type": "image"}, {"type": "text", "text": "here"}]}, {"role": "assistant", "content": "ok", "reasoning_content": "seen"}, USER],
              "add_generation_prompt": True, "enable_thinking": False},
    "two users": {"messages": [USER, USER, ANSWER]},
    "unknown role": {"messages": [{"role": "narrator", "content": "x"}]},
    "documents": {"messages": [SYSTEM, USER], "documents": [{"title": "A", "text": "one"}, {"title": "B", "text": "two"}], "add_generation_prompt": True},
    "nothing": {"messages": []},
}

FAMILIES = {
    "chatml with thoughts (Qwen3)": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages and messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or (not loop.last and reasoning_content)) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
""",
    "headers and dates (Llama-3.1)": """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\\n\\n"}}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("no first user message") }}
{%- endif %}
    {{- '<|start_header_id|>user<|end_header_id|>\\n\\n' -}}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot_id|>"}}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one tool call at a time") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {%- if builtin_tools is defined and tool_call.name in builtin_tools %}
            {{- "<|python_tag|>" + tool_call.name + ".call(" }}
            {%- for arg_name, arg_val in tool_call.arguments | items %}
                {{- arg_name + '="' ~ arg_val ~ '"' }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- endif %}
                {%- endfor %}
            {{- ")" }}
        {%- else  %}
            {{- '{"name": "' + tool_call.name + '", ' }}
            {{- '"parameters": ' }}
            {{- tool_call.arguments | tojson }}
            {{- "}" }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "instructions (Mistral)": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
            {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("ids have nine characters") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + ", " }}
        {{- '"call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("unknown role") }}
    {%- endif %}
{%- endfor %}
""",
    "turns (Gemma)": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\n\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}
""",
    "one line (Phi-3)": "{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}",
    "state in a namespace (DeepSeek)": "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' ~ message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['tool_calls'] %}{%- set ns.is_tool = false -%}{%- for tool in message['tool_calls']%}{%- if not ns.is_first %}{{'<｜Assistant｜><｜tool▁calls▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + tool['function']['name'] + '\\n' + '```json' + '\\n' ~ tool['function']['arguments'] ~ '\\n' + '```'}}{%- set ns.is_first = true -%}{%- else %}{{'\\n' + tool['type'] + tool['function']['name']}}{{'<｜end▁of▁sentence｜>'}}{%- endif %}{%- endfor %}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none and message['content'] %}{%- if ns.is_tool %}{{'<｜tool▁outputs▁end｜>' + message['content'] + '<｜end▁of▁sentence｜>'}}{%- set ns.is_tool = false -%}{%- else %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endif %}{%- if message['role'] == 'tool' %}{%- set ns.is_tool = true -%}{%- if ns.is_output_first %}{{'<｜tool▁outputs▁begin｜>' ~ message['content']}}{%- set ns.is_output_first = false %}{%- else %}{{'\\n' ~ message['content']}}{%- endif %}{%- endif %}{%- endfor -%}{% if ns.is_tool %}{{'<｜tool▁outputs▁end｜>'}}{% endif %}{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜>'}}{% endif %}",
    "types by macros (Hermes)": """{%- macro type_of(spec) %}
{%- set basic = {
    "string": "str",
    "number": "float",
    "integer": "int",
    "boolean": "bool",
} %}
{%- if basic[spec.type] is defined %}
    {{- basic[spec.type] }}
{%- elif spec.type == "array" %}
    {{- "list[" + type_of(spec['items']) + "]" }}
{%- elif spec.type == "object" %}
    {%- if spec.additionalProperties is defined %}
        {{- "dict[str, " + type_of(spec.additionalProperties) + ']' }}
    {%- else %}
        {{- "dict" }}
    {%- endif %}
{%- elif spec.type is iterable %}
    {{- "Union[" }}
    {%- for t in spec.type %}
      {{- type_of({"type": t}) }}
      {%- if not loop.last %}
        {{- "," }}
    {%- endif %}
    {%- endfor %}
    {{- "]" }}
{%- else %}
    {{- "Any" }}
{%- endif %}
{%- endmacro %}
{{- bos_token }}
{{- '<|im_start|>system\\n' }}
{%- for tool in tools or [] %}
    {%- if tool.function is defined %}
        {%- set tool = tool.function %}
    {%- endif %}
    {{- '{"name": "' + tool.name + '", ' }}
    {{- '"description": "' + tool.name + '(' }}
    {%- for name, fields in tool.parameters.properties|items %}
        {{- name + ": " + type_of(fields) }}
        {%- if not loop.last %}
            {{- ", " }}
        {%- endif %}
    {%- endfor %}
    {{- ")" }}
    {%- if tool.return is defined %}
        {{- " -> " + type_of(tool.return) }}
    {%- endif %}
    {{- " - " + tool.description + "\\n\\n" }}
    {%- for name, fields in tool.parameters.properties|dictsort %}
        {%- if loop.first %}
            {{- "    Args:\\n" }}
        {%- endif %}
        {{- "        " + name + "(" + type_of(fields) + "): " + (fields.description|default('none'))|trim + "\\n" }}
    {%- endfor %}
    {{- '", "parameters": ' }}
    {{- tool.parameters | tojson(sort_keys=true, separators=(',', ':')) }}
    {{- "}" }}
    {%- if not loop.last %}
        {{- "\\n" }}
    {%- endif %}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- for message in messages %}
    {%- if message.role == "user" or message.role == "system" or (message.role == "assistant" and message.tool_calls is not defined) %}
        {{- '<|im_start|>' + message.role + '\\n' ~ message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
    {%- for tool_call in message.tool_calls %}
       {{- '\\n<tool_call>\\n' }}           {%- if tool_call.function is defined %}
            {%- set tool_call = tool_call.function %}
        {%- endif %}
        {{- '{' }}{{- '"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}{{- tool_call.arguments|tojson }}{{- '}' }}{{- '\\n</tool_call>' }}
    {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.previtem and loop.previtem.role != "tool" %}
            {{- '<|im_start|>tool\\n' }}
        {%- endif %}
        {{- '<tool_response>\\n' ~ message.content }}
        {%- if not loop.last %}
            {{- '\\n</tool_response>\\n' }}
        {%- else %}
            {{- '\\n</tool_response>' }}
        {%- endif %}
        {%- if not loop.last and loop.nextitem.role != "tool" %}
            {{- '<|im_end|>' }}
        {%- elif loop.last %}
            {{- '<|im_end|>' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "documents and set blocks (Command-R)": """{{ bos_token }}{% if messages and messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set preamble = messages[0]['content'] %}{% else %}{% set rest = messages %}{% set preamble = 'none' %}{% endif %}
{% set header %}
# Preamble
{{ preamble | trim | indent(2, true) }}
{% endset %}
{{ header | upper }}
{% if documents %}
{% for document in documents %}
{{ loop.cycle('>', '>>') }} {{ loop.index }}/{{ loop.length }} {{ document['title'] }}: {{ document.text | capitalize }}
{% for key in document %}{{ key }}{{ ', ' if not loop.last }}{% endfor %}

{% endfor %}
{% endif %}
{% for message in rest %}
    {% if message['content'] is not string %}{% continue %}{% endif %}
{{ '<' ~ message.role.title() ~ '>' }}{{ message['content'] | replace('\\n', ' ') }}
    {% if loop.index > 3 %}{% break %}{% endif %}
{% endfor %}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}
{% filter trim | lower %}  KEPT  {% endfilter %}
{# a note
over lines #}
""",
    "marked answers (SmolLM3)": """{%- for message in messages -%}
{%- if message.role == "user" -%}
{{ "<|im_start|>user\\n" + (message.content if message.content is string else message.content | map(attribute='text', default='') | join) + "<|im_end|>\\n" }}
{%- elif message.role == "assistant" -%}
{% generation %}
{%- if message.content -%}
{{ "<|im_start|>assistant\\n" + message.content.lstrip("\\n") + "<|im_end|>\\n" }}
{%- else -%}
{{ "<|im_start|>assistant\\n" ~ message.tool_calls | tojson ~ "<|im_end|>\\n" }}
{%- endif -%}
{% endgeneration %}
{%- elif message.role == "tool" -%}
{{ "<|im_start|>user\\n" ~ message.content ~ "<|im_end|>\\n" }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ "<|im_start|>assistant\\n" }}{%- endif -%}
""",
    "marks within a line": "{% for m in messages %}{{ m.role }}: {% generation %}{{ m.content if m.role == 'assistant' else '' }}{% endgeneration %};\n{% endfor %}",
    "TypeScript types (gpt-oss)": """{%- macro render(spec, required=[], nullable=false) -%}
    {%- if spec.type == "array" -%}
        {%- if spec['items'] -%}
            {{- render(spec['items'], required) + "[]" }}
        {%- else -%}
            {{- "any[]" }}
        {%- endif -%}
        {%- if nullable -%}{{- " | null" -}}{%- endif -%}
    {%- elif spec.type is defined and spec.type is iterable and spec.type is not string and spec.type is not mapping and spec.type[0] is defined -%}
        {%- if spec.type | length > 1 -%}
            {{- spec.type | join(" | ") }}
        {%- else -%}
            {{- spec.type[0] }}
        {%- endif -%}
    {%- elif spec.type == "string" -%}
        {%- if spec.enum -%}
            {{- '"' + spec.enum|join('" | "') + '"' -}}
        {%- else -%}
            {{- "string" }}
        {%- endif -%}
    {%- elif spec.type == "object" -%}
        {{- "{\\n" -}}
        {%- for name, inner in spec.properties.items() -%}
            {{- name -}}
            {%- if name not in (spec.required or []) -%}{{- "?" -}}{%- endif -%}
            {{- ": " -}}
            {{ render(inner, spec.required or [], nullable=inner.nullable) }}
            {%- if inner.default is defined -%}
                {{- ", // default: " + inner.default|string }}
            {%- endif -%}
            {{- ",\\n" }}
        {%- endfor -%}
        {{- "}" }}
    {%- else -%}
        {{- "any" -}}
    {%- endif -%}
{%- endmacro -%}
{%- macro section(title) -%}
== {{ title }} ==
{{ caller() }}
{%- endmacro -%}
{%- for tool in tools or [] -%}
{% call section(tool.function.name) %}type {{ tool.function.name }} = (_: {{ render(tool.function.parameters) }}) => any;
{% endcall %}
{% endfor -%}
{{ messages | map(attribute='role') | unique | join(', ') }} {{ messages | groupby('role') | map('first') | list }}
{% for role, group in messages | groupby('role') %}{{ role }}={{ group | length }}{% if not loop.last %}, {% endif %}{% endfor %}
""",
}

SNIPPETS = [
    "{% for item in tree recursive %}{{ item.n }}{% if item.c %}({{ loop(item.c) }}){% endif %}{{ ',' if not loop.last }}{% endfor %}",
    "{%- for item in tree recursive -%}\n[{{ loop.depth }}:{{ loop.index }}]{{ item.n }}\n{{- loop(item.c) -}}\n{%- else -%}.{%- endfor -%}",
    "{% for i in [1, 2] recursive %}{{ loop(3) }}{% endfor %}",
    "{% for i in [1, 2] %}{{ loop([3]) }}{% endfor %}",
    "{{ words | truncate(9) }}|{{ words | truncate(9, true) }}|{{ words | truncate(11, False, '..') }}|{{ words | truncate(60) }}|{{ words | truncate(20, leeway=0) }}|{{ words | truncate(26, leeway=0, end='…') }}",
    "{% for g in people | groupby('city') %}{{ g.grouper }}:{{ g.list | map(attribute='name') | join('+') }} {% endfor %}",
    "{% for city, list in people | groupby('city', default='?', case_sensitive=true) %}{{ city }}={{ list | length }} {% endfor %}",
    "{% for n, rows in people | groupby('age.years', default=0) %}{{ n }}:{{ rows | length }} {% endfor %}",
    "{{ [1, 2, 3, 4, 5] | batch(2, 'x') | list }} {{ [1, 2, 3, 4, 5] | slice(2) | list }} {{ 'ab' | center(7) }}|{{ 'x' | center(1) }}",
    "{{ 'a,b'.split(',') }} {{ ' a b '.split() }} {{ 'x'.join(['1', '2']) }} {{ 'abc'.find('c') }} {{ 'a-b-c'.rsplit('-', 1) }} {{ 'abcabc'.count('bc') }} {{ 'abc'.index('b') }}",
    "{{ '42'.isdigit() }} {{ 'ab'.isalpha() }} {{ 'a\\nb'.splitlines() }} {{ 'ab'.removeprefix('a') }}",
    "{{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b', 2) }} {{ {'a': 1}.keys() | list }} {{ {'a': 1, 'b': none}.values() | list }} {{ {'a': 1} == {'a': 1.0} }}",
    "{{ (1, 2) }} {{ (1,) }} {{ () }} {{ [(1, 'a')] }} {{ 'a' 'b' }} {{ 1_000 }} {{ 1e3 }} {{ 5 / 2 }} {{ -5 // 2 }} {{ 2 ** -1 }} {{ 7 % -3 }}",
    "{{ [1, 2][5] is defined }} {{ [1, 2][-1] }} {{ 'abc'[1] }} {{ 'abc'[-2:] }} {{ [1, 2, 3][::2] }} {{ 'x' in {'x': 1} }} {{ 3 in [1, 2] }}",
    "{{ none }} {{ None }} {{ true }} {{ True and none }} {{ [] or 'e' }} {{ not [] }} {{ 1 if false }}|{{ missing }}|{{ missing is defined }} {{ 1 == 1.0 }} {{ 'a' < 'b' }}",
    "{{ 3.0 }} {{ 0.1 + 0.2 }} {{ 1e16 }} {{ 1e-7 }} {{ 123456789.123 }} {{ 2.5 | round }} {{ 2.567 | round(1) }} {{ 7 | float }} {{ '3' | int + 1 }} {{ 'x' | int(9) }}",
    "{{ 'it\\'s' }} {{ [\"it's\", 'q\"q', 'a\\tb\\n', '\\u4f60', 'é'] }} {{ {'k': [1, {'z': none}]} }}",
    "{{ [3, 1, 2] | sort }} {{ ['b', 'A', 'c'] | sort }} {{ ['b', 'A'] | sort(case_sensitive=true) }} {{ [1, 2] | sum }} {{ [1, 5, 3] | max }} {{ [2, 1] | min }} {{ [1, 2] | last }} {{ 'abc' | first }} {{ [1, 2] | reverse | list }} {{ 'abc' | reverse }}",
    "{{ people | map(attribute='name') | list }} {{ people | map('length') | list }} {{ people | selectattr('age') | list | length }} {{ people | rejectattr('city', 'eq', 'Rome') | map(attribute='name') | join(';') }}",
    "{{ [1, 2, 3, 4] | select('even') | list }} {{ [1, 2, 3] | reject('greaterthan', 1) | list }} {{ ['a', ''] | select | list }} {{ {'b': 2, 'a': 1} | dictsort }} {{ {'b': 1, 'a': 2} | dictsort(false, 'value') }}",
    "{{ '<a href=\"x\">' | escape }} {{ '<b>' | e }} {{ 'a b' | wordcount }} {{ 'hello world' | title }} {{ 'HELLO wORLD' | capitalize }} {{ [1, [2, 3]] | string }} {{ 'a' | default('b') }} {{ '' | default('b', true) }} {{ missing | d('c') }}",
    "{{ {'b': [1, 2], 'a': {'c': 'é\"'}} | tojson(indent=2) }} {{ {'b': 1, 'a': [1.0, true, null_value]} | tojson(sort_keys=true) if null_value is defined }} {{ 'é😀' | tojson(ensure_ascii=true) }} {{ [1, 2] | tojson(separators=(',', ':')) }}",
    "{%- for x in range(3) -%}\n  {{ x }}\n{%- endfor %}\n\n  {%- if true %}\n  y\n  {%- endif %}\nend\n",
    "  {% if true %}\n  a\n  {% endif %}\n b {% if true %} c {% endif %} d\n{{ 'e' }}\n\n{#- c -#}\n f",
    "{%+ if true %} x{%+ endif %}\n{%- raw %} {{ not }} {% raw {% endraw -%}  z",
    "{% set x = namespace(a=1) %}{% for i in range(3) %}{% set x.a = x.a * 2 %}{% endfor %}{{ x.a }} {% set a, b = 1, (2, 3) %}{{ b[1] }}",
    "{% macro m(a, b='d', *args, **kwargs) %}{{ a }}{{ b }}{{ args }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}",
    "{% macro list_of(n) %}{% if n > 0 %}{{ n }}{{ list_of(n - 1) }}{% endif %}{% endmacro %}{{ list_of(3) }} {{ m.name if m is defined }}",
    "{% for i in range(5) if i % 2 %}{{ loop.index }}{{ i }}{{ loop.first }}{{ loop.revindex }}{% else %}none{% endfor %} {% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %} {{ range(0, 10, 3) | list }}",
    "{% for x in [1, 1, 2] %}{% if loop.changed(x) %}{{ x }}{% endif %}{% endfor %} {{ dict(a=1, b='x') }}",
    "{{ 'x' is string }} {{ 1 is number }} {{ 1.5 is float }} {{ 1 is integer }} {{ true is boolean }} {{ [] is sequence }} {{ {} is mapping }} {{ none is none }} {{ 'a' is in 'abc' }} {{ 4 is divisibleby(2) }} {{ 'A' is upper }} {{ 1 is sameas 1 }} {{ 3 is odd }} {{ true is true }} {{ raise_exception is callable }}",
    "{{ 1 is not none and 2 > 1 }} {{ not x is defined }} {{ 'a' ~ 1 ~ 2.0 ~ true ~ none }} {{ 2 + 3 * 4 - -1 }} {{ (2 + 3) * 4 }} {{ 'a' * 3 }} {{ [0] * 2 }} {{ 'a' if 1 > 2 else 'b' if false else 'c' }}",
    "{{ x.y.z }}", "{{ 'a' + 1 }}", "{{ [] | first }}|", "{{ {}['a'] }}|", "{{ 1 / 0 }}", "{{ raise_exception('stop') }}", "{{ [1, 2] | join(',') | upper ~ '!' }}", "{{ [3] | sort | first + 1 }}",
    "{% include 'a' %}", "{% import 'a' as b %}", "{% from 'a' import b %}", "{% extends 'a' %}", "{{ 'a' | nosuch }}", "{{ 1 is nosuch }}", "{% nosuch %}", "{% if 1 %}", "{{ 1", "{% endif %}", "{{ 'a }}", "{% for x in %}{% endfor %}",
    "{% if true %}a{% else %}b{% elif %}c{% endif %}", "{{ messages.append(1) }}", "{{ ''.__class__ }}",
]
VARIABLES = {
    "tree": [{"n": "a", "c": [{"n": "b", "c": []}, {"n": "c", "c": [{"n": "d", "c": []}]}]}, {"n": "e", "c": []}],
    "words": "The quick brown fox jumps over it",
    "people": [{"name": "Ann", "city": "Rome", "age": {"years": 3}}, {"name": "Bob", "city": "oslo", "age": {"years": 5}}, {"name": "Cy", "city": "rome", "age": {}}, {"name": "Di", "city": "Oslo", "age": {"years": 3}}],
}


def main():
    out = {"made_with": "Jinja2 " + jinja2.__version__, "conversations": {}, "families": [], "snippets": [], "variables": VARIABLES}
    for name, c in CONVERSATIONS.items():
        out["conversations"][name] = {"tools": None, "documents": None, "add_generation_prompt": False, "bos_token": "<s>", "eos_token": "</s>", **c}
    for name, source in FAMILIES.items():
        out["families"].append({"name": name, "source": source, "results": {k: render(source, v) for k, v in out["conversations"].items()}})
    for source in SNIPPETS:
        out["snippets"].append({"source": source, "result": render(source, {"messages": [], "tools": None, "documents": None, "add_generation_prompt": False, **VARIABLES})})
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates.json"), "w", encoding="utf-8") as file:
        json.dump(out, file, ensure_ascii=False, indent=0)
        file.write("\n")
    bad = [(f["name"], k, r) for f in out["families"] for k, r in f["results"].items() if "error" in r]
    for row in bad:
        print(row)
    for s in out["snippets"]:
        print(repr(s["source"][:60]), s["result"])


main()
