"""Types a line at a program's prompt, again and again, each time once its answer and the prompt are there.

    prompt.py PROMPT TIMES PROGRAM ARGUMENT...
"""

import fcntl
import os
import pty
import re
import struct
import sys
import termios

prompt, times, program = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(program[0], program)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
seen = ""


def wait_for(pattern):
    """Reads until that is there, and forgets what came before it."""
    global seen
    while True:
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
        found = re.search(pattern, plain)
        if found:
            seen = plain[found.end():]
            return
        try:
            more = os.read(terminal, 65536)
        except OSError:
            more = b""
        if not more:
            sys.exit(f"it ended before {pattern!r} came: {seen!r}")
        seen += more.decode("utf-8", "replace")


wait_for(re.escape(prompt))
for number in range(1, times + 1):
    # What is typed is shown too, and must not be taken for the answer.
    os.write(terminal, f"echo answer-$(({number - 1} + 1))-\r".encode())
    wait_for(f"answer-{number}-(?s:.*?){re.escape(prompt)}")
os.write(terminal, b"\x04")
try:
    while os.read(terminal, 65536):
        pass
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
