"""A moment within a statement, made to last: the thread of the server that works for one connection is stopped in it (ptrace:
that thread alone), again and again until it is the right one."""
import ctypes
import os
import random
import threading
import time

import pymysql

from harness import run_sql

PTRACE_CONT, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 7, 17, 0x4206, 0x4207
WALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace({request:#x}): {os.strerror(number)}; this test needs root, or kernel.yama.ptrace_scope = 0")


class Moment:
    """Does statements(n) for n = 1, 2, ... until it is held where is_it(connection, n) is true."""

    def __init__(self, servers, db, statements, is_it):
        self.servers, self.statements, self.is_it = servers, statements, is_it
        self.number, self.stopping, self.failure, self.held, self.paused = 0, False, None, False, False
        self.connection = servers.connect(database=db)
        self.thread_id = int(run_sql(self.connection, "SELECT tid FROM information_schema.processlist WHERE id = CONNECTION_ID()")[0][0])
        ptrace(PTRACE_SEIZE, self.thread_id)
        self.worker = threading.Thread(target=self.work)
        self.worker.start()

    def work(self):
        try:
            while not self.stopping:
                if self.paused:
                    time.sleep(0.01)
                    continue
                self.number += 1
                run_sql(self.connection, *self.statements(self.number))
                time.sleep(0.003)  # those who follow the binlog must be able to keep up
        except Exception as failure:
            self.failure = failure

    def stop_thread(self):
        ptrace(PTRACE_INTERRUPT, self.thread_id)
        os.waitpid(self.thread_id, WALL)

    def hold(self, seconds=120):
        r = random.Random()
        end = time.monotonic() + seconds
        probe = None
        while time.monotonic() < end:
            assert self.failure is None, self.failure
            if probe is None:
                probe = self.servers.connect(read_timeout=0.5)
            time.sleep(r.random() * 0.01)
            self.stop_thread()
            try:
                if self.is_it(probe, self.number):
                    self.held = True
                    probe.close()
                    return self.number
            except pymysql.err.OperationalError:  # it was stopped with a lock that every question needs
                probe = None
            ptrace(PTRACE_CONT, self.thread_id)
        raise AssertionError(f"none of {self.number} was stopped in its moment")

    def release(self):
        if self.held:
            self.held = False
            ptrace(PTRACE_CONT, self.thread_id)

    def end(self):
        if self.stopping:
            return
        self.stopping = True
        self.release()
        self.worker.join(60)
        try:
            self.stop_thread()
            ptrace(PTRACE_DETACH, self.thread_id)
        except OSError:
            pass
        self.connection.close()
