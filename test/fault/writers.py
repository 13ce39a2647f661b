"""The sessions that carry a plan out. A statement the server refuses takes its transaction back; a lost connection is made anew."""
import threading
import time

import pymysql

from dialect import translate

REFUSED = {1062, 1205, 1213, 1451, 1452, 1054, 1091, 1146, 1412, 1050, 1060, 1061, 1399, 1397, 1020, 1136, 1264, 1305, 1051, 1402, 1613, 1614, 1785, 1787}


class Writer(threading.Thread):
    def __init__(self, servers, db, steps, session):
        super().__init__(daemon=True)
        self.servers, self.db, self.steps, self.session = servers, db, steps, session
        self.connection = self.failure = None
        self.done = self.refused = self.lost = 0
        self.hurry = False          # no more pauses
        self.decided = set()        # XA transactions whose COMMIT was sent: nobody may roll one back
        self.left = []              # [(step at which it ends, xid, commit or rollback)]: prepared, and left to another session

    def run(self):
        try:
            for step in self.steps:
                self.step(*step)
                self.done += 1
        except Exception as failure:  # shown by the run
            self.failure = failure
        finally:
            self.close()

    def close(self):
        if self.connection is not None:
            try:
                self.connection.close()
            except Exception:
                pass
            self.connection = None

    def connect(self):
        give_up = time.monotonic() + 120
        while self.connection is None:
            try:
                self.connection = self.servers.connect(database=self.db, connect_timeout=60)
                with self.connection.cursor() as cursor:
                    cursor.execute("SET innodb_lock_wait_timeout = 1")
                    if "MariaDB" not in self.connection.get_server_info():
                        # what is prepared keeps its tables from any DDL there, and the session that would end it waits, too
                        cursor.execute("SET lock_wait_timeout = 1")
            except (pymysql.err.Error, OSError):
                self.close()
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.1)

    def step(self, kind, pause, statements, end):
        if pause and not self.hurry:
            time.sleep(pause)
        self.connect()
        try:
            with self.connection.cursor() as cursor:
                self.end_left(cursor)
                getattr(self, kind)(cursor, statements, end)
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError, pymysql.err.InternalError, pymysql.err.IntegrityError,
                pymysql.err.ProgrammingError, pymysql.err.DataError, OSError) as error:
            code = error.args[0] if error.args else 0
            if isinstance(error, pymysql.err.MySQLError) and code in REFUSED:
                self.refused += 1
                self.take_back(kind, end)
            elif isinstance(error, (pymysql.err.OperationalError, pymysql.err.InterfaceError, pymysql.err.InternalError, OSError)) and \
                    code in (0, 1053, 1927, 2006, 2013, 2014, 1152, 1317, 3169) or isinstance(error, OSError):
                self.lost += 1
                self.close()
            else:
                raise

    def end_left(self, cursor):
        while self.left and self.left[0][0] <= self.done:
            _, name, verb = self.left.pop(0)
            self.decide(cursor, verb, name)

    def decide(self, cursor, verb, name):
        if verb == "COMMIT":
            self.decided.add(name)
        cursor.execute(f"XA {verb} {name}")

    def take_back(self, kind, end):
        if kind == "xa":        # an XA transaction is ended before it can be taken back; a new session forgets what was not prepared
            return self.close()
        try:
            with self.connection.cursor() as cursor:
                cursor.execute("ROLLBACK")
        except (pymysql.err.MySQLError, OSError):
            self.close()
        return None

    def say(self, cursor, statements):
        for statement in statements:
            for said in translate(self.connection, statement):
                cursor.execute(said)

    def txn(self, cursor, statements, end):
        self.say(cursor, ["BEGIN", *statements, end])

    def bare(self, cursor, statements, end):
        self.say(cursor, statements)

    def xa(self, cursor, statements, end):
        how, name = end
        name = f"'{self.db}','{name}'"
        cursor.execute(f"XA START {name}")
        self.say(cursor, statements)
        cursor.execute(f"XA END {name}")
        if how == "one-phase":
            cursor.execute(f"XA COMMIT {name} ONE PHASE")
            return
        cursor.execute(f"XA PREPARE {name}")
        if how == "left":           # its locks are held until a later session ends it
            self.left.append((self.done + 3, name, "COMMIT" if len(name) % 2 else "ROLLBACK"))
            self.close()
            return
        time.sleep(0 if self.hurry else 0.02)
        self.decide(cursor, how.upper(), name)


def finish_xa(connection, db, random, decided):
    """What was left prepared is committed or rolled back; a decision that was made (by name) holds."""
    with connection.cursor() as cursor:
        cursor.execute("XA RECOVER")
        for format_id, gtrid_length, _, data in cursor.fetchall():
            data = data if isinstance(data, str) else data.decode()
            if data[:gtrid_length] == db:
                name = f"'{data[:gtrid_length]}','{data[gtrid_length:]}'"
                verb = "COMMIT" if name in decided else random.choice(("COMMIT", "ROLLBACK"))
                try:
                    cursor.execute(f"XA {verb} {name},{format_id}")
                except pymysql.err.MySQLError as refusal:
                    if refusal.args[0] not in REFUSED:      # 1402: the server has rolled it back itself
                        raise
