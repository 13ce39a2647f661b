-- The rights that `millrace run` needs on a MariaDB source (10.5 and later), and not one more; on MySQL see the end.
-- Run it as an administrator; put the password into the file that source.password_file names.
-- It is not replicated nor written to the binlog.
SET sql_log_bin = 0;

CREATE USER IF NOT EXISTS 'millrace'@'%' IDENTIFIED BY 'change-me';

-- REPLICATION SLAVE: read the binlog. BINLOG MONITOR: ask where it ends and how large its files are.
GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'millrace'@'%';

-- SELECT: the first copy of the captured tables, and `verify`. One line for each captured database.
GRANT SELECT ON `shop`.* TO 'millrace'@'%';

-- On MySQL 8.0 and later, instead of the first GRANT above. XA_RECOVER_ADMIN: ask which XA transactions are prepared.
-- GRANT REPLICATION SLAVE, REPLICATION CLIENT, XA_RECOVER_ADMIN ON *.* TO 'millrace'@'%';
