"""Rewrites a function's text: each ``if``, ``for`` and ``while`` becomes a call, which decides when it runs.

::

    for t in range(n):            def turn(t, h):
        h = self.cell(x[:, t], h)     h = self.cell(flow.item(x, (slice(None), t)), h)
                                      return (h,)
                           ->     (h,) = flow.loop(flow.span(n), turn, (flow.value(lambda: h),))

``self.weight.data *= self.mask`` goes: the model was called before, and a state that still changes is refused.
What has no such form (``break``, ``try``, an attribute that is set, a return from a loop) is left as it is.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from torchship.convert.control.names import Block, changed, inside, read, wanted
from torchship.convert.control.shape import returns, without_continue, without_early_returns

FLOW = "_torchship_flow"
_LEFT = (
    ast.Break, ast.Continue, ast.Return, ast.Yield, ast.YieldFrom, ast.Await, ast.Global, ast.Nonlocal, ast.Try,
    ast.Delete, ast.ClassDef, ast.Import, ast.ImportFrom,
)  # fmt: skip


def rewrite(function: ast.FunctionDef) -> ast.FunctionDef:
    """Rewrite ``function`` in place."""
    function.body = _Rewriter(_parameters(function)).block(without_early_returns(function.body), set())
    return function


def _parameters(function: ast.FunctionDef) -> set[str]:
    return {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}


class _Rewriter:
    """Walks blocks; ``after`` is what is still read when the block has run; ``known``: names that are surely bound."""

    def __init__(self, known: set[str]) -> None:
        self._known = known
        self._made = 0
        self._loops = 0

    def block(self, block: Block, after: set[str]) -> list[ast.stmt]:
        done: list[ast.stmt] = []
        before = set(self._known)
        for place, statement in enumerate(block):
            done += self._statement(statement, wanted(block[place + 1 :], after))
            if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.With)):
                self._known |= changed([statement])
        self._known = before
        return done

    def _statement(self, statement: ast.stmt, after: set[str]) -> list[ast.stmt]:
        match statement:
            case ast.If():
                made = self._if(statement, after)
            case ast.For() if not statement.orelse and not isinstance(statement.target, (ast.Attribute, ast.Subscript)):
                made = self._for(statement, after)
            case ast.While() if not statement.orelse:
                made = self._while(statement, after)
            case ast.Assert():
                made = [ast.Expr(_call("claim", _test(self._expression(statement.test)), _function(statement.msg)))]
            case ast.With():
                statement.body = self.block(statement.body, after)
                made = [statement]
            case ast.FunctionDef() | ast.ClassDef() | ast.Try():
                made = [statement]
            case _:
                made = self._written(statement)
        return [ast.fix_missing_locations(ast.copy_location(each, statement)) for each in made]

    def _if(self, it: ast.If, after: set[str]) -> list[ast.stmt]:
        test = _test(self._expression(it.test))
        if _refuses(it):
            it.test = _call("certain", test)
            return [it]
        if not _movable([*it.body, *it.orelse], returning=returns(it.body) and returns(it.orelse)) or _settled(it.test):
            it.body, it.orelse = self.block(it.body, after), self.block(it.orelse, after)
            return [it]
        bound = changed([*it.body, *it.orelse])
        given = sorted(bound & (wanted(it.body, after) | wanted(it.orelse, after)))
        ways = [it.body, it.orelse]
        seen = self._seen(ways[0] + ways[1], given)
        values = (self._values(given), self._values(seen))
        if returns(it.body):
            made = [self._part([*given, *seen], way, set(), None) for way in ways]
            return [*made, ast.Return(_call("choose", test, *map(_named, made), *values))]
        kept = sorted(bound & after)
        made = [self._part([*given, *seen], way, after, kept) for way in ways]
        return [*made, *self._taken(kept, _call("branch", test, *map(_named, made), *values))]

    def _for(self, it: ast.For, after: set[str]) -> list[ast.stmt]:
        it.body = without_continue(it.body)
        target = changed([it.target])
        if not _movable(it.body) or target & after:
            it.body = self.block(it.body, after | read(it.body))
            return [it]
        kept = sorted(changed(it.body) & (after | (wanted(it.body, set()) - target)) - target)
        seen = self._seen(it.body, [*kept, *target])
        start = ast.Assign([it.target], ast.Name("_torchship_each", ast.Load()))
        turn = self._turn(kept, seen, it.body, after, [start])
        turn.args.args.insert(0, ast.arg("_torchship_each"))
        over = self._iterated(it.iter)
        values = (self._values(kept), self._values(seen))
        return [turn, *self._taken(kept, _call("loop", over, _named(turn), *values))]

    def _while(self, it: ast.While, after: set[str]) -> list[ast.stmt]:
        it.body = without_continue(it.body)
        if not _movable(it.body):
            it.body = self.block(it.body, after | read([it.test, *it.body]))
            return [it]
        kept = sorted(changed(it.body) & (after | read([it.test]) | wanted(it.body, set())))
        seen = self._seen([it.test, *it.body], kept)
        turn = self._turn(kept, seen, it.body, after | read([it.test]), [])
        test = self._function([*kept, *seen], [ast.Return(_test(self._expression(it.test)))])
        call = _call("repeat", _named(test), _named(turn), self._values(kept), self._values(seen))
        return [test, turn, *self._taken(kept, call)]

    def _turn(
        self, kept: list[str], seen: list[str], body: list[ast.stmt], after: set[str], start: list[ast.stmt]
    ) -> ast.FunctionDef:
        self._loops += 1
        made = self._part([*kept, *seen], body, after | wanted(body, set()) | set(kept), kept)
        self._loops -= 1
        made.body[:0] = start
        return made

    def _iterated(self, over: ast.expr) -> ast.expr:
        """``range(n)`` asks its argument for a plain number; ``unbind`` asks for a plain number of parts."""
        match over:
            case ast.Call(func=ast.Name(id="range"), keywords=[]):
                return _call("span", *map(self._expression, over.args))
            case ast.Call(func=ast.Name(id="reversed" | "enumerate" as name), args=[inner], keywords=[]):
                return _call({"reversed": "backwards", "enumerate": "counted"}[name], self._iterated(inner))
            case ast.Call(func=ast.Attribute(value=base, attr="unbind"), keywords=[]):
                return _call("parts", base, *over.args)
            case _:
                return _call("rows", self._expression(over))

    def _written(self, statement: ast.stmt) -> list[ast.stmt]:
        """Within a loop, ``x[:, t] = y``: its turn isn't a plain number."""
        if writes_data(statement):
            return [ast.Pass()]
        match statement:
            case ast.Assign(targets=[ast.Subscript(value=base, slice=index)]) if self._loops:
                put = _call("put", _load(base), _index(index), self._expression(statement.value))
                return [ast.Expr(put)]
            case ast.AugAssign(target=ast.Subscript(value=base, slice=index)) if self._loops:
                now = _call("item", _load(base), _index(index))
                value = ast.BinOp(now, statement.op, self._expression(statement.value))
                return [ast.Expr(_call("put", _load(base), _index(index), value))]
        return [self._visitor().visit(statement)]

    def _expression(self, node: ast.expr) -> ast.expr:
        return self._visitor().visit(node)  # type: ignore[no-any-return]

    def _visitor(self) -> _Expressions:
        return _Expressions(in_loop=self._loops > 0)

    def _part(self, given: list[str], body: list[ast.stmt], after: set[str], kept: list[str] | None) -> ast.FunctionDef:
        """A function of a block; what it gives is bound there on every way."""
        before = self._known
        self._known = before | set(given)
        made = self.block(body, after)
        self._known = before
        give = ast.Tuple([ast.Name(name, ast.Load()) for name in kept or ()], ast.Load())
        return self._function(given, made if kept is None else [*made, ast.Return(give)])

    def _seen(self, nodes: Sequence[ast.AST], given: Sequence[str]) -> list[str]:
        """Names that a part reads and doesn't change: handed to it, since what it finds by itself mustn't be views."""
        return sorted((read(nodes) & self._known) - set(given) - {"self"})

    def _values(self, names: list[str]) -> ast.expr:
        return ast.Tuple([self._value(name) for name in names], ast.Load())

    def _value(self, name: str) -> ast.expr:
        read_it = ast.Name(name, ast.Load())
        return read_it if name in self._known else _call("value", _function(read_it))

    def _taken(self, names: list[str], call: ast.expr) -> list[ast.stmt]:
        self._known |= set(names)
        if not names:
            return [ast.Expr(call)]
        return [ast.Assign([ast.Tuple([ast.Name(name, ast.Store()) for name in names], ast.Store())], call)]

    def _function(self, given: list[str], body: list[ast.stmt]) -> ast.FunctionDef:
        self._made += 1
        arguments = ast.arguments([], [ast.arg(name) for name in given], None, [], [], None, [])
        return ast.FunctionDef(f"_torchship_part_{self._made}", arguments, body or [ast.Pass()], [])


class _Expressions(ast.NodeTransformer):
    """``a if test else b``, and within a loop ``x[:, t]``."""

    def __init__(self, *, in_loop: bool) -> None:
        self._in_loop = in_loop

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        if _settled(node.test) or any(isinstance(each, ast.NamedExpr) for each in ast.walk(node)):
            return node
        return _call("choose", _test(node.test), _function(node.body), _function(node.orelse))

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        if not self._in_loop or not isinstance(node.ctx, ast.Load):
            return node
        return _call("item", node.value, _index(node.slice))

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        return node


def writes_data(node: ast.AST) -> bool:
    """Whether ``node`` writes into the data of an attribute, past torch's eyes."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(
        isinstance(each, ast.Attribute) and each.attr == "data" and isinstance(each.value, ast.Attribute)
        for each in targets
    )


def _movable(block: Block, *, returning: bool = False) -> bool:
    """Whether ``block`` may become a function's body."""
    for node in inside(block):
        if isinstance(node, _LEFT) and not (returning and isinstance(node, ast.Return)):
            return False
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            return False
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and not isinstance(node.value, ast.Name):
            return False
        if isinstance(node, ast.Name) and node.id == "super":
            return False
    return True


def _refuses(it: ast.If) -> bool:
    return len(it.body) == 1 and isinstance(it.body[0], ast.Raise) and not it.orelse


def _settled(test: ast.expr) -> bool:
    """Whether it can't depend on a tensor: ``x is None``, ``self.training``, ``isinstance(…)``."""
    match test:
        case ast.Compare(ops=[ast.Is() | ast.IsNot()]) | ast.Constant():
            return True
        case ast.Call(func=ast.Name(id="isinstance" | "hasattr" | "callable")):
            return True
        case ast.Attribute(value=inner):
            return isinstance(inner, ast.Name) or _settled(inner)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return _settled(inner)
        case ast.BoolOp(values=values):
            return all(map(_settled, values))
        case _:
            return False


def _test(test: ast.expr) -> ast.expr:
    """Without ``bool()``, ``not``, ``and`` and ``or``, which ask a tensor for its value."""
    match test:
        case ast.Call(func=ast.Name(id="bool"), args=[inner], keywords=[]):
            return _test(inner)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return _call("negated", _test(inner))
        case ast.BoolOp(op=op, values=values):
            return _call("every" if isinstance(op, ast.And) else "some", *(_function(_test(each)) for each in values))
        case _:
            return test


def _call(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name(FLOW, ast.Load()), name, ast.Load()), list(args), [])


def _function(value: ast.expr | None) -> ast.expr:
    return ast.Lambda(ast.arguments([], [], None, [], [], None, []), value or ast.Constant(None))


def _named(function: ast.FunctionDef) -> ast.expr:
    return ast.Name(function.name, ast.Load())


def _load(base: ast.expr) -> ast.expr:
    """The same, to read it."""
    return ast.Name(base.id, ast.Load()) if isinstance(base, ast.Name) else base


def _index(index: ast.expr) -> ast.expr:
    match index:
        case ast.Tuple(elts=parts):
            return ast.Tuple([_index(part) for part in parts], ast.Load())
        case ast.Slice(lower=lower, upper=upper, step=step):
            return _call("slice", *(part or ast.Constant(None) for part in (lower, upper, step)))
        case _:
            return index
