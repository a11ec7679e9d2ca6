"""The development cloud alone, on loopback.

Convex functions for the official clients, the audio stream, and recognition and speech that work
offline. When it is ready it prints its addresses in one line. At CONTROL_URL it shows what it was
told (GET turns, calls, commands, tables/reports, …), takes a guardian's commands (POST commands)
and fails on command (POST faults); that address stays within reach while the network fails. Exit
codes: 0 it was told to stop, 64 an option cannot be, 69 the port is taken or a part of the system
is missing.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from devcloud.errors import PortBusyError, SettingsError, WorldError
from devcloud.settings import ALGORITHMS, HOST, Settings

if TYPE_CHECKING:
    import argparse

DEFAULTS: Final = Settings()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--port", type=int, default=DEFAULTS.port, help="0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--device-id",
        default=DEFAULTS.device_id,
        help="the device that may authenticate (default: %(default)s)",
    )
    parser.add_argument(
        "--device-secret",
        default=DEFAULTS.device_secret,
        help="its secret, for tests only (default: %(default)s)",
    )
    parser.add_argument(
        "--toy-id", default=DEFAULTS.toy_id, help="the toy it carries (default: %(default)s)"
    )
    parser.add_argument(
        "--token-lifetime-s",
        type=float,
        default=DEFAULTS.token_lifetime_s,
        help="how long its tokens last, in seconds (default: %(default)s)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="keep what is stored in FILE from one run to the next (default: in memory)",
    )
    parser.add_argument(
        "--signing-algorithm",
        choices=ALGORITHMS,
        default=DEFAULTS.signing_algorithm,
        help="what tokens are signed with (default: %(default)s)",
    )
    parser.add_argument(
        "--upload-lifetime-s",
        type=float,
        default=DEFAULTS.upload_lifetime_s,
        help="how long an upload URL lasts, in seconds (default: %(default)s)",
    )
    parser.add_argument(
        "--no-binary",
        action="store_true",
        help="do not agree to the stream's binary dialect when a device offers it",
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="serve https and wss, with a certificate of an authority made for this",
    )
    parser.add_argument(
        "--authority",
        type=Path,
        metavar="DIR",
        help="keep that authority in DIR from one run to the next (default: made anew)",
    )
    parser.add_argument(
        "--json", action="store_true", help="say that it is ready as one line of JSON"
    )


def run(args: argparse.Namespace) -> int:
    """Run the development cloud on loopback until it is interrupted.

    Returns 0 after SIGINT or SIGTERM, 64 (EX_USAGE) for an option that cannot be, and 69
    (EX_UNAVAILABLE) when the port is taken or a part of the system is missing.
    """
    try:
        settings = Settings(
            port=args.port,
            device_id=args.device_id,
            device_secret=args.device_secret,
            toy_id=args.toy_id,
            token_lifetime_s=args.token_lifetime_s,
            data=args.data,
            signing_algorithm=args.signing_algorithm,
            upload_lifetime_s=args.upload_lifetime_s,
            binary=not args.no_binary,
            tls=args.tls,
            authority=args.authority,
        )
        asyncio.run(_serve(settings, as_json=args.json))
    except SettingsError as error:
        return _fail(str(error), os.EX_USAGE)
    except PortBusyError:
        return _fail(
            f"port {args.port} on {HOST} is in use: end the program that listens there,"
            " or give another with --port (0 takes a free one)",
            os.EX_UNAVAILABLE,
        )
    except WorldError as error:
        return _fail(str(error), os.EX_UNAVAILABLE)
    return os.EX_OK


async def _serve(settings: Settings, *, as_json: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    # Here, so that a wrong option is told without waiting for the web server's import.
    from devcloud.server import DevelopmentCloud  # noqa: PLC0415

    async with DevelopmentCloud(settings) as cloud:
        if as_json:
            line = json.dumps(
                {
                    "event": "ready",
                    "convex_url": cloud.convex_url,
                    "stream_url": cloud.stream_url,
                    "control_url": cloud.control_url,
                    "ca_file": cloud.ca_file and str(cloud.ca_file),
                    "spki_pin": cloud.spki_pin,
                    "pid": os.getpid(),
                }
            )
        else:
            trust = f" SSL_CERT_FILE={cloud.ca_file}" if cloud.ca_file else ""
            line = (
                f"cloud ready: CONVEX_URL={cloud.convex_url} STREAM_URL={cloud.stream_url}"
                f" CONTROL_URL={cloud.control_url}{trust} (Ctrl-C stops it)"
            )
        print(line, flush=True)
        await stopped.wait()


def _fail(message: str, exit_code: int) -> int:
    print(f"cloud: {message}", file=sys.stderr)
    return exit_code
