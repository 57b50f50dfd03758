#!/usr/bin/env python3
"""Writes templates.json: chat templates with the constructs that published ones use, and what Jinja2 (3.1, set up as
Transformers does) makes of conversations with them: text, and the character spans of {% generation %} blocks.
    python3 make_templates.py
The templates are in template_families.py.
"""
import json
import os

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from template_families import FAMILIES

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
