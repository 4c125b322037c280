"""Checks README.md and docs/ against the code: ``python -m tests.support.docs_check [--write]``.

Links, anchors and paths of source files lead somewhere, every fence names its language, commands parse (without
running), settings exist in config.toml, Python snippets compile, JSON events are valid, and the table of event fields
is that of the schema. ``--write`` writes that table.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.main import get_command

from tracker.events import from_json, json_schema

ROOT = Path(__file__).parents[2]
README_LINES = 150
EVENTS = ROOT / "docs" / "events.md"
TABLE = re.compile(r"(?<=<!-- fields -->\n).*?(?=<!-- end of fields -->)", re.DOTALL)

_PROGRAMS = ("tracker", "python", "make")
_BETWEEN_COMMANDS = set("|&;")
_ENVIRONMENT = re.compile(r"\bTRACKER_([A-Z]+)__([A-Z_]+)")
_SETTING = re.compile(r"([a-z]+)\.([a-z_]+)(?: = .*)?")
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
_EXTERNAL = re.compile(r"[a-z]+:")
_SOURCE = re.compile(r"(tracker|adapters|tests|docs|\.ci)/[\w./]*")
_FREE_TABLES = ("assets", "sinks", "project")  # their keys are the user's own, or of another file
_FILES = ("json", "jsonl", "md", "mkv", "py", "safetensors", "toml")


def pages() -> list[Path]:
    """README.md and every page below docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def faults_of(page: Path) -> list[str]:
    """What is wrong with a page, one line each."""
    text = page.read_text(encoding="utf-8")
    tokens = list(_tokens(text))
    found = [*_links(page, tokens), *_settings(_names(text, tokens))]
    for token in tokens:
        if token.type == "fence":
            found += _fence(token)
        elif token.type == "code_inline" and _SOURCE.fullmatch(token.content):
            found += [] if (ROOT / token.content).exists() else [f"there is no {token.content}"]
        elif token.type == "code_inline":
            found += (fault for words in _commands(token.content) for fault in _command(words, inline=True))
        elif token.type == "code_block":
            found.append(f"an indented block begins with {token.content[:40]!r}: use a fence with a language")
    if page == ROOT / "README.md" and (lines := len(text.splitlines())) > README_LINES:
        found.append(f"{lines} lines, at most {README_LINES}")
    if page == EVENTS and TABLE.findall(text) != [fields()]:
        found.append("the table of fields is not the schema's: python -m tests.support.docs_check --write")
    return found


def fields() -> str:
    """The fields of every event as Markdown tables, from the JSON Schema."""
    schema = json_schema()
    kinds = [one["$ref"].rpartition("/")[2] for one in schema["oneOf"]]
    parts: list[str] = []
    for name in [*kinds, *(name for name in schema["$defs"] if name not in kinds)]:
        part = schema["$defs"][name]
        kind = part["properties"].get("type", {}).get("const")
        rows = [
            f"| `{field}` | {_type(shape)} | {shape.get('description', '').replace('|', '/')} |"
            for field, shape in part["properties"].items()
            if kind is None or field not in ("schema", "session", "seq", "type")
        ]
        heading = f"### `{kind}`" if kind else f"### {name}"
        parts.append("\n".join([heading, "", "| field | type | meaning |", "|---|---|---|", *rows]))
    return "\n" + "\n\n".join(parts) + "\n\n"


def _type(shape: dict[str, Any]) -> str:
    """One field's type in a few words."""
    if "anyOf" in shape:
        return " or ".join(_type(one) for one in shape["anyOf"])
    if "$ref" in shape:
        name = shape["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in shape:
        return ", ".join(f"`{value}`" for value in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {_type(shape['items'])}"
    return str(shape.get("type", "any"))


def _tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    seen: dict[str, int] = {}
    anchors = set()
    for heading in headings:
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
        seen[slug] = seen.get(slug, 0) + 1
    return anchors


def _links(page: Path, tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        target = str(token.attrs.get("href") or token.attrs.get("src") or "")
        if not target or _EXTERNAL.match(target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            yield f"the link {target} leads nowhere"
        elif anchor and anchor not in _anchors(there):
            yield f"the link {target}: {there.name} has no heading of that name"


def _fence(token: Token) -> Iterator[str]:
    language, code = token.info.partition(" ")[0], token.content
    begin = code.strip().partition("\n")[0]
    match language:
        case "":
            yield f"the fence that begins with {begin!r} names no language"
        case "sh":
            for words in _commands(code):
                yield from _command(words)
        case "python":
            try:
                compile(code, begin, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            except SyntaxError as error:
                yield f"the Python that begins with {begin!r}: {error}"
        case "json":
            try:
                if "type" in json.loads(code):
                    from_json(code)
            except ValueError as error:
                yield f"the JSON that begins with {begin!r}: {error}"


def _names(text: str, tokens: list[Token]) -> Iterator[tuple[str, str]]:
    """Every (section, key) of a setting that a page names."""
    for section, key in _ENVIRONMENT.findall(text):
        yield section.lower(), key.lower()
    events = {part["properties"].get("type", {}).get("const") for part in json_schema()["$defs"].values()}
    for token in tokens:
        if token.type == "code_inline" and token.content not in events:
            named = _SETTING.fullmatch(token.content)
            if named and named[1] in _config() and named[2] not in _FILES:
                yield named[1], named[2]
        elif token.type == "fence" and token.info == "toml":
            for section, table in tomllib.loads(token.content).items():
                yield from ((section, key) for key in table)
        if token.type == "code_inline" or (token.type == "fence" and token.info == "sh"):
            for setting in re.findall(r"--set (\w+\.\w+)", token.content):
                section, _, key = setting.partition(".")
                yield section, key


def _settings(names: Iterator[tuple[str, str]]) -> Iterator[str]:
    for section, key in sorted(set(names)):
        if section not in _FREE_TABLES and key not in _config().get(section, {}):
            yield f"config.toml has no setting {section}.{key}"


@cache
def _config() -> dict[str, dict[str, Any]]:
    return tomllib.loads((ROOT / "config.toml").read_text(encoding="utf-8"))


def _commands(code: str) -> Iterator[list[str]]:
    """The words of each command of ours in some shell code."""
    for line in code.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        try:
            words = [*lexer, ";"]
        except ValueError:
            continue  # a fragment with an open quote, such as a word with an apostrophe
        command: list[str] = []
        for word in words:
            if not set(word) <= _BETWEEN_COMMANDS:
                command.append(word)
                continue
            while command and _ASSIGNMENT.fullmatch(command[0]):
                command.pop(0)
            if command and (name := Path(command[0]).name) in _PROGRAMS:
                yield [name, *_without_redirections(command[1:])]
            command = []


def _without_redirections(words: list[str]) -> list[str]:
    ends = [place for place, word in enumerate(words) if set(word) <= set("<>")]
    return words[: ends[0]] if ends else words


def _command(words: list[str], inline: bool = False) -> Iterator[str]:
    match words:
        case ["make", *targets]:
            known = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
            yield from (f"make has no target {name}" for name in targets if "=" not in name and name not in known)
        case ["tracker", *rest] if rest:
            yield from _parsed("tracker", import_module("tracker.cli.main").app, rest, inline)
        case ["python", "-m", module, *rest] if module.partition(".")[0] in ("tracker", "adapters", "tests"):
            yield from _module(module, rest, inline)


def _module(module: str, rest: list[str], inline: bool) -> Iterator[str]:
    """``python -m module``: typer programs are parsed, of others the options are looked for in the source."""
    if module == "adapters":
        yield from _adapters(rest, inline)
        return
    try:
        spec = find_spec(module)
        if spec and spec.submodule_search_locations:
            spec = find_spec(f"{module}.__main__")
    except ModuleNotFoundError:
        spec = None
    if not spec or not spec.origin:
        yield f"python -m {module}: there is no such program"
        return
    source = Path(spec.origin).read_text(encoding="utf-8")
    if "argparse" in source:
        options = [word for word in rest if word.startswith("--")]
        yield from (f"python -m {module} has no {word}" for word in options if f'"{word}"' not in source)
        return
    program = import_module(spec.name)
    app = getattr(program, "app", None)
    if app is None:
        app = typer.Typer()
        app.command()(program.main)
    yield from _parsed(f"python -m {module}", app, rest, inline)


def _adapters(rest: list[str], inline: bool) -> Iterator[str]:
    """``python -m adapters``: a table of commands, each loaded only when it runs."""
    if not find_spec("adapters.__main__"):
        yield "python -m adapters: there is no such program"
        return
    program = import_module("adapters.__main__")
    for count in (1, 2):
        if place := program.COMMANDS.get(" ".join(rest[:count])):
            module, _, function = place[0].partition(":")
            app = typer.Typer()
            app.command()(getattr(import_module(module), function))
            yield from _parsed(f"python -m adapters {' '.join(rest[:count])}", app, rest[count:], inline)
            return
    yield from _parsed("python -m adapters", program.app, rest, inline)


def _parsed(name: str, app: typer.Typer, words: list[str], inline: bool) -> Iterator[str]:
    """What is wrong with a command line, by the command tree alone: nothing runs."""
    command: Any = get_command(app)
    context = None
    said = shlex.join([name, *words])
    try:
        while words or not hasattr(command, "resolve_command"):  # a group alone prints its help
            context = command.make_context(name, list(words), parent=context)
            if not hasattr(command, "resolve_command"):
                return
            name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
    except Exception as error:  # click's, or the copy of it in typer: wrong usage, or --help
        fault = getattr(error, "format_message", None)
        if fault and not (inline and type(error).__name__ == "MissingParameter"):
            yield f"{said}: {fault()}"


def main() -> None:
    """Print what is wrong; the exit code is 1 where something is."""
    if "--write" in sys.argv[1:]:
        EVENTS.write_text(TABLE.sub(lambda _: fields(), EVENTS.read_text(encoding="utf-8")), encoding="utf-8")
    found = [f"{page.relative_to(ROOT)}: {fault}" for page in pages() for fault in faults_of(page)]
    print("\n".join(found) or f"{len(pages())} pages are in order")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
