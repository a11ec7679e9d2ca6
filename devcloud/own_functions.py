"""Functions of the development cloud's own, for those who try a client out against it.

``dev:echo`` takes ``{value}`` and returns it, and logs the line ``echo``. ``dev:fail`` takes
``{data}`` and raises a ConvexError with it; null makes it an error without data. Each is there as
query, mutation and action. Nobody has to be authenticated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from devcloud.errors import ConvexError
from devcloud.function import Context, Function
from devcloud.validators import ANY, fields

if TYPE_CHECKING:
    from devcloud.values import ConvexObject, ConvexValue


def _echo(context: Context, arguments: ConvexObject) -> ConvexValue:
    context.log("echo")
    return arguments["value"]


def _fail(_: Context, arguments: ConvexObject) -> ConvexValue:
    raise ConvexError(arguments["data"])


ECHO: Final = Function(_echo, fields(value=ANY))
FAIL: Final = Function(_fail, fields(data=ANY))
