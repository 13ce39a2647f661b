"""The few words that stores say differently, for the handlers of kinds.py."""


class Standard:
    """SQLite's and PostgreSQL's."""

    @staticmethod
    def values(table, columns, values):
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(values)});\n"

    def ignore(self, table, key, columns, values):
        return self.values(table, columns, values)[:-2] + f" ON CONFLICT ({key}) DO NOTHING;\n"

    @staticmethod
    def new(column):
        """The value that was to be inserted."""
        return f"excluded.{column}"

    def put(self, table, key, columns, values, changes):
        rest = ", ".join(f"{c} = {v}" for c, v in changes.items())
        return self.values(table, columns, values)[:-2] + f" ON CONFLICT ({key}) DO UPDATE SET {rest};\n"

    def upsert(self, table, key, columns, values):
        rest = ", ".join(f"{c} = excluded.{c}" for c in columns if c != key)
        return self.values(table, columns, values)[:-2] + f" ON CONFLICT ({key}) DO UPDATE SET {rest};\n"


class MysqlWords(Standard):
    """MariaDB's and MySQL's."""

    def ignore(self, table, _, columns, values):
        return "INSERT IGNORE" + self.values(table, columns, values)[6:]

    @staticmethod
    def new(column):
        return f"VALUES({column})"

    def put(self, table, _, columns, values, changes):
        rest = ", ".join(f"{c} = {v}" for c, v in changes.items())
        return self.values(table, columns, values)[:-2] + f" ON DUPLICATE KEY UPDATE {rest};\n"

    def upsert(self, table, key, columns, values):
        rest = ", ".join(f"{c} = VALUES({c})" for c in columns if c != key)
        return self.values(table, columns, values)[:-2] + f" ON DUPLICATE KEY UPDATE {rest};\n"
