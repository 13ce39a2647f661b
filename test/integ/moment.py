"""A moment within a statement, made to last: the thread of the server that works for one connection is led to it with ptrace (that
thread alone) and stands there until it is released.

From one system call to the next; where the moment is not at any of them, by so many machine instructions at a time from the end of the
statement's write to the binlog. So it depends neither on the speed of the machine nor on luck.
"""
import ctypes
import os
import threading
import time
from pathlib import Path

import pymysql

from harness import run_sql

PTRACE_CONT, PTRACE_SINGLESTEP, PTRACE_DETACH, PTRACE_SYSCALL, PTRACE_SEIZE, PTRACE_INTERRUPT = 7, 9, 17, 24, 0x4206, 0x4207
WALL = 0x40000000
WRITE, SENDTO = 1, 44           # x86-64
STEPS, STEPS_MAX = 400, 60000   # instructions between two looks, and in all
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace({request:#x}): {os.strerror(number)}; this test needs root, or kernel.yama.ptrace_scope = 0")


class Moment:
    """Does statements(n) for n = 1, 2, ...: (those before, the one in question, those after it), until the one in question is held where
    is_it(connection, n) is true."""

    def __init__(self, servers, db, statements, is_it, behind_binlog=False):
        self.servers, self.statements, self.is_it = servers, statements, is_it
        self.lead = self.lead_behind_binlog if behind_binlog else self.lead_by_calls
        self.number, self.failure, self.held, self.ended, self.probe = 0, None, False, False, None
        self.connection = servers.connect(database=db)
        self.thread_id = int(run_sql(self.connection, "SELECT tid FROM information_schema.processlist WHERE id = CONNECTION_ID()")[0][0])
        ptrace(PTRACE_SEIZE, self.thread_id)
        self.worker = None

    def work(self, statement):
        try:
            run_sql(self.connection, statement)
        except Exception as failure:
            self.failure = failure

    def stop_thread(self):
        ptrace(PTRACE_INTERRUPT, self.thread_id)
        os.waitpid(self.thread_id, WALL)

    def go(self, request):
        """On to the next stop. False when there is none: the statement is over."""
        ptrace(request, self.thread_id)
        for turn in range(10**9):
            if os.waitpid(self.thread_id, WALL | os.WNOHANG)[0]:
                return True
            if turn > 1000:         # it waits for somebody
                if not self.worker.is_alive():
                    return False
                time.sleep(0.001)

    def is_binlog(self, descriptor):
        return Path(os.readlink(f"/proc/{self.thread_id}/fd/{int(descriptor, 16)}")).suffix[1:].isdigit()

    def is_here(self):
        try:
            self.probe = self.probe or self.servers.connect(read_timeout=0.5)
            return self.is_it(self.probe, self.number)
        except pymysql.err.OperationalError:  # it stands with a lock that every question needs
            self.probe = None
            return False

    def calls(self):
        """The system calls (number, words) at whose begin or end it is stopped; the last one is its answer."""
        while self.go(PTRACE_SYSCALL):
            call, *words = Path(f"/proc/{self.thread_id}/syscall").read_text().split()
            if int(call) == SENDTO:
                return
            yield int(call), words

    def lead_by_calls(self):
        return any(self.is_here() for _ in self.calls())

    def lead_behind_binlog(self):
        calls = self.calls()
        if not any(call == WRITE and self.is_binlog(words[0]) for call, words in calls) or next(calls, None) is None:
            return False
        for step in range(1, STEPS_MAX):
            if not self.go(PTRACE_SINGLESTEP):
                return False
            if step % STEPS == 0 and self.is_here():
                return True
        return False

    def hold(self, tries=20):
        """The number of the one that is held."""
        for _ in range(tries):
            self.number += 1
            before, statement, self.after = self.statements(self.number)
            run_sql(self.connection, *before)
            self.stop_thread()
            self.worker = threading.Thread(target=self.work, args=(statement,))
            self.worker.start()
            self.held = True
            if self.lead():
                return self.number
            self.release()
        raise AssertionError(f"none of {self.number} could be held in its moment")

    def release(self):
        """It goes on, to its end, and those after it."""
        if not self.held:
            return
        self.held = False
        if self.worker.is_alive():
            ptrace(PTRACE_CONT, self.thread_id)
        self.worker.join(60)
        assert self.failure is None and not self.worker.is_alive(), self.failure
        run_sql(self.connection, *self.after)

    def end(self):
        if self.ended:
            return
        self.ended = True
        self.release()
        try:
            self.stop_thread()
            ptrace(PTRACE_DETACH, self.thread_id)
        except OSError:
            pass
        self.connection.close()
