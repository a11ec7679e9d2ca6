"""The recogniser process: PocketSphinx with its general English model, fed through pipes.

A process of its own because PocketSphinx holds the interpreter's lock while it decodes (measured:
up to 0.4 s at the end of an utterance), which would stop the event loop. It ends when its standard
input does. It is started by ``devcloud.recognition``; ``worker_pipe`` has the format of the pipes.
"""

from __future__ import annotations

import json
import os
import select
from typing import Final

from pocketsphinx import Decoder, Vad

from devcloud.audio import FRAME_MS, SAMPLE_RATE_HZ
from devcloud.backlog import SLICE_BYTES, Backlog, Utterance
from devcloud.opus import FRAME_BYTES
from devcloud.worker_pipe import Kind, Message, Unpacker

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
READ_BYTES: Final = 65_536

CEPSTRAL_MEAN: Final = "45,4,-2"
"""Where normalisation starts. Of eight starts tried on 13 recordings that had been through Opus,
the one with the fewest wrong words (26 of 104; with the built-in start 32)."""

ACTIVE_STATES_MAX: Final = 5000
"""The default of 30,000 takes half as long again, and over three times as long at the end of an
utterance, with as many words wrong on the same recordings."""

VOICE_STRICTNESS: Final = 3
"""The strictest of the detector's modes, 0 to 3: it misses more voice and mistakes less noise."""

VOICED_MS_MIN: Final = 200
"""Less voice than this in a whole utterance is a click or a cough; the model would find a word in
it all the same."""


class Recognition:
    """One decoder, and how far it is with the utterance that it works on."""

    def __init__(self) -> None:
        self._decoder = Decoder(
            samprate=SAMPLE_RATE_HZ,
            maxhmmpf=ACTIVE_STATES_MAX,
            # A second pass over everything, when the utterance has ended: it made the answer late
            # and, on the same recordings, worse (32 words wrong).
            fwdflat=False,
            cmninit=CEPSTRAL_MEAN,
            loglevel="FATAL",
        )
        self._mean = self._decoder.get_cmn()
        self._vad = Vad(VOICE_STRICTNESS, SAMPLE_RATE_HZ, FRAME_MS / 1000)
        self._voiced_frames = 0
        self._open = False

    def work(self, utterance: Utterance) -> str | None:
        """Decode the next slice of an utterance; the words, once it has ended and is through."""
        if utterance.decoded_bytes == 0:
            self._begin()
        start = utterance.decoded_bytes
        pcm = bytes(utterance.pcm[start : start + SLICE_BYTES])
        for frame_start in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES):
            frame = pcm[frame_start : frame_start + FRAME_BYTES]
            self._voiced_frames += self._vad.is_speech(frame)
        if pcm:
            self._decoder.process_raw(pcm)
        utterance.decoded_bytes += len(pcm)
        if not utterance.ended or utterance.decoded_bytes < len(utterance.pcm):
            return None
        return self._finish()

    def _begin(self) -> None:
        if self._open:
            # An utterance that was overtaken or dropped.
            self._decoder.end_utt()
        # What was said before, by whomever, must not change what is heard now.
        self._decoder.set_cmn(self._mean)
        self._decoder.start_utt()
        self._open = True
        self._voiced_frames = 0

    def _finish(self) -> str:
        self._decoder.end_utt()
        self._open = False
        hypothesis = self._decoder.hyp()
        if hypothesis is None or self._voiced_frames * FRAME_MS < VOICED_MS_MIN:
            return ""
        words: str = hypothesis.hypstr
        return words


def serve() -> None:
    """Recognise what comes in on standard input until it ends."""
    # Nothing but results may reach whoever reads them, whatever a library prints.
    with os.fdopen(os.dup(STDOUT), "w", encoding="ascii") as results:
        os.dup2(STDERR, STDOUT)
        recognition = Recognition()
        print(json.dumps({"ready": True}), file=results, flush=True)
        backlog = Backlog()
        unpacker = Unpacker()
        poll = select.poll()
        poll.register(STDIN)
        while True:
            utterance = backlog.choose()
            if poll.poll(None if utterance is None else 0):
                data = os.read(STDIN, READ_BYTES)
                if not data:
                    return
                for message in unpacker.feed(data):
                    _take(message, backlog)
            elif utterance is not None:
                words = recognition.work(utterance)
                if words is not None:
                    backlog.drop(utterance.number)
                    line = {"utterance": utterance.number, "text": words}
                    print(json.dumps(line), file=results, flush=True)


def _take(message: Message, backlog: Backlog) -> None:
    match message.kind:
        case Kind.AUDIO:
            backlog.append(message.utterance, message.pcm)
        case Kind.END:
            backlog.end(message.utterance)
        case Kind.DROP:
            backlog.drop(message.utterance)


if __name__ == "__main__":
    serve()
