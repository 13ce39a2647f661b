CREATE TABLE groups_ (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE member (id INTEGER PRIMARY KEY, karma INTEGER NOT NULL);
CREATE TABLE group_member (group_id INTEGER, member_id INTEGER, status TEXT NOT NULL, disabled_at INTEGER, PRIMARY KEY (group_id, member_id));
