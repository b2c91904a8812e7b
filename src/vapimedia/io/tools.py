"""A user's tool functions: registered by name, run with a deadline, answered in Vapi's form."""

from __future__ import annotations

import asyncio
import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.io.call_log import about, word_of
from vapimedia.io.hooks import Call
from vapimedia.io.user_code import LateError, Runner, UserCodeError, check_answers, describe_failure, is_async
from vapimedia.protocols.vapi import (
    ToolCall,
    ToolResult,
    encode_function_result,
    encode_tool_results,
    without_values,
)
from vapimedia.protocols.vapi.tools import as_written

__all__ = ["ToolBox", "ToolFunction"]

ToolFunction = Callable[[Call | None, Any], Any]

_NEVER_AN_OBJECT = (
    msgspec.inspect.CustomType,
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.BoolType,
    msgspec.inspect.NoneType,
    msgspec.inspect.BytesType,
    msgspec.inspect.ListType,
    msgspec.inspect.SetType,
    msgspec.inspect.VarTupleType,
)


class _Tool(msgspec.Struct, frozen=True):
    function: ToolFunction
    arguments: Any  # the annotation of the second parameter
    is_async: bool


class ToolBox:
    """Tool functions by name. Async ones run on the loop and must not block it; others run in a thread.

    A function that raises, is unknown, or is later than *deadline_s* gives an error entry; its siblings are
    not affected. A late thread goes on: Python cannot stop it. *count* is told of each such case by a word.
    A function may return a ``ToolResult`` of its own, for the call that it was asked for only.
    """

    def __init__(self, deadline_s: float, count: Callable[[str], None] = lambda what: None) -> None:
        self.deadline_s = deadline_s
        self._count = count
        self._tools: dict[str, _Tool] = {}
        self._runner = Runner("vapimedia-tool")

    def add(self, name: str, function: ToolFunction) -> None:
        """Register *function* ``(call, args)``. Raises ``ConfigError`` if name or signature are wrong."""
        if not name or not isinstance(name, str):
            raise ConfigError('a tool needs a name: write @bridge.tool("name")')
        if name in self._tools:
            raise ConfigError(f"tool {name!r} is registered twice; give each function its own name")
        parameters = check_answers(f"tool {name!r}", function, "two arguments, (call, args)")
        arguments = _annotation(name, function, parameters[1].name if len(parameters) > 1 else "")
        self._tools[name] = _Tool(function, arguments, is_async(function))

    async def answer(
        self,
        call: Call | None,
        wanted: Sequence[ToolCall],
        limit_s: float | None = None,
        *,
        spent_s: float = 0.0,
    ) -> bytes:
        """Run all of *wanted* side by side; return the body of the answer, in their order. Never raises.

        *limit_s* is how long Vapi waits, if that is less than the box's own deadline; *spent_s* has passed of it.
        """
        limit_s = self.deadline_s if limit_s is None else min(self.deadline_s, limit_s)
        runs = (self._run(call, one, limit_s, spent_s) for one in wanted)
        return encode_tool_results(await asyncio.gather(*runs))

    def has(self, name: str) -> bool:
        """Return whether a tool of *name* is registered."""
        return name in self._tools

    async def answer_function(self, call: Call | None, wanted: ToolCall, *, spent_s: float) -> bytes:
        """Run *wanted* of the legacy ``function-call``; return the body of the answer. Never raises."""
        return encode_function_result(await self._run(call, wanted, self.deadline_s, spent_s))

    def give_up(self, wanted: Sequence[ToolCall]) -> bytes:
        """Return the body of an answer without results."""
        error = "the tools did not answer in time"
        return encode_tool_results([ToolResult(one.id, one.name, error=error) for one in wanted])

    async def _run(self, call: Call | None, wanted: ToolCall, limit_s: float, spent_s: float) -> ToolResult:
        def failed(error: str) -> ToolResult:
            return ToolResult(wanted.id, wanted.name, error=error)

        log, tool = about(call), self._tools.get(wanted.name)
        if tool is None:
            self._count("tool_unknown")
            log.trouble(
                "tool_unknown", "Vapi asked for a tool that is not registered", tool=word_of(wanted.name)
            )
            return failed(f"there is no tool named {wanted.name}")
        try:
            arguments = msgspec.convert(wanted.arguments(), tool.arguments, strict=False)
        except msgspec.ValidationError as error:
            self._count("tool_misfit")
            # What msgspec quotes, and what a Struct's __post_init__ says, may be what a caller said.
            why = without_values(str(error)) if error.__cause__ is None else describe_failure(error.__cause__)
            log.trouble("tool_misfit", "the arguments of tool %r do not fit: %s", wanted.name, why)
            return failed(f"the arguments do not fit: {error}")
        except Exception as error:  # the __post_init__ of a user's Struct may raise anything
            self._count("tool_misfit")
            told = describe_failure(error)
            log.fault("tool_misfit", "the arguments of tool %r: reading them raised %s", wanted.name, told)
            return failed(f"the arguments do not fit: {type(error).__name__}")
        try:
            result = await self._runner.run(
                tool.function, call, arguments, on_loop=tool.is_async, deadline_s=limit_s - spent_s
            )
        except LateError:
            self._count("tool_late")
            log.trouble("tool_late", "tool %r took longer than %g s", wanted.name, limit_s)
            return failed(f"the tool took longer than {limit_s:g} s")
        except UserCodeError as failure:
            self._count("tool_failed")
            log.fault("tool_failed", "tool %r raised %s", wanted.name, describe_failure(failure.error))
            return failed(f"the tool failed: {type(failure.error).__name__}")
        if not isinstance(result, ToolResult):
            result = ToolResult(wanted.id, wanted.name, result=result)
        if result.tool_call_id != wanted.id:
            self._count("tool_foreign_result")
            log.fault(
                "tool_foreign_result",
                "tool %r returned a ToolResult for another tool call than it was asked for",
                wanted.name,
            )
            return failed("the tool answered another tool call")
        written = as_written(result)
        if written is None:
            self._count("tool_unwritable")
            log.fault(
                "tool_unwritable",
                "tool %r returned %s that cannot be written as JSON",
                wanted.name,
                "a ToolResult with a part"
                if result.message is not None or result.metadata is not None
                else f"a {type(result.result).__name__}",
            )
        return msgspec.structs.replace(written or result, name=result.name or wanted.name)

    def close(self) -> None:
        """Let go of the threads; functions that still run are not waited for."""
        self._runner.close()


def _annotation(name: str, function: ToolFunction, parameter: str) -> Any:
    """Return what *function* wants as *parameter*."""
    bare = function.func if isinstance(function, functools.partial) else function
    if not inspect.isroutine(bare):
        bare = type(bare).__call__
    try:
        wanted = typing.get_type_hints(bare).get(parameter, dict[str, Any])
    except NameError as error:
        raise ConfigError(
            f"tool {name!r} has an annotation that is not known where it is registered: {error}"
        ) from None
    except TypeError:
        return dict[str, Any]  # written in C: it has no annotations
    kind = msgspec.inspect.type_info(wanted)
    if isinstance(kind, _NEVER_AN_OBJECT):
        raise ConfigError(
            f"tool {name!r} wants {parameter!r} as {wanted!r}, but Vapi sends an object: annotate it with a "
            "msgspec Struct, a dataclass, a TypedDict or dict"
        )
    return wanted
