"""What a run found, as a table and a last line."""
import json
import threading

SHOWN = 3       # differences of one declaration on one server that are printed


class Report:
    def __init__(self, seed):
        self.seed, self.lock = seed, threading.Lock()
        self.counts = {}        # server: {type: values}
        self.differences = []   # (server, type, declaration, text)
        self.skipped = []       # (server, what, why)
        self.by_kind = {}

    def server(self, name):
        self.counts.setdefault(name, {})

    def count(self, server, counts):
        with self.lock:
            own = self.counts.setdefault(server, {})
            for type_, number in counts.items():
                own[type_] = own.get(type_, 0) + number

    def differ(self, server, type_, declaration, text):
        with self.lock:
            self.differences.append((server, type_, declaration, text))
            number = self.by_kind[server, type_, declaration] = self.by_kind.get((server, type_, declaration), 0) + 1
        if number <= SHOWN:
            print(f"differs: {server} {type_}: {declaration[:200]} (SEED={self.seed})\n  {text}", flush=True)
        elif number == SHOWN + 1:
            print(f"differs: {server} {type_}: {declaration[:200]}: more, counted only", flush=True)

    def skip(self, server, what, why):
        with self.lock:
            self.skipped.append((server, what, why))
        print(f"skipped: {server} {what}: {why}", flush=True)

    def table(self):
        """A line per type, a column per server."""
        servers = list(self.counts)
        types = list(dict.fromkeys(t for counts in self.counts.values() for t in counts))
        short = [name.replace("mysql:", "my ").replace("mariadb:", "ma ") for name in servers]
        width = max([len(t) for t in types] + [4])
        print(f"{'type':{width}} " + " ".join(f"{s:>9}" for s in short))
        for type_ in types:
            print(f"{type_:{width}} " + " ".join(f"{self.counts[s].get(type_, '-'):>9}" for s in servers))
        print(f"{'all':{width}} " + " ".join(f"{sum(self.counts[s].values()):>9}" for s in servers))

    def values(self):
        return sum(sum(counts.values()) for counts in self.counts.values())

    def types(self):
        return len({t for counts in self.counts.values() for t in counts})

    def too_few(self, least):
        """Types of which fewer values arrived than were asked for."""
        return [(server, type_, number) for server, counts in self.counts.items() for type_, number in counts.items() if number < least]

    def last_line(self, without):
        tested = sum(1 for counts in self.counts.values() if counts)
        return (f"types: {tested} servers, {self.types()} types, {self.values()} values, {len(self.differences)} differ, "
                f"{len(self.skipped)} skipped" + "".join(f"; without {name}: {why}" for name, why in without))

    def write_json(self, path, without):
        with open(path, "w", encoding="utf-8") as out:
            json.dump({"seed": self.seed, "counts": self.counts, "differences": self.differences, "skipped": self.skipped,
                       "without": without, "values": self.values(), "types": self.types()}, out, indent=1, ensure_ascii=False)
