-- The monolith's own tables: a members-and-groups site.
CREATE DATABASE IF NOT EXISTS chapstick CHARACTER SET utf8mb4;
USE chapstick;

CREATE TABLE member (
  id          INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name        VARCHAR(80)  NOT NULL,
  email       VARCHAR(120) NOT NULL,
  birthday    DATE         NULL,
  karma       INT          NOT NULL DEFAULT 0,
  balance     DECIMAL(10,2) NOT NULL DEFAULT 0,
  created     TIMESTAMP    NOT NULL DEFAULT CURRENT_TIMESTAMP,
  disabled_at DATETIME     NULL
) ENGINE=InnoDB;

CREATE TABLE groups_ (
  id      INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name    VARCHAR(80)  NOT NULL,
  topic   ENUM('music', 'sports', 'books', 'tech', 'food') NOT NULL,
  about   TEXT         NULL,
  created TIMESTAMP    NOT NULL DEFAULT CURRENT_TIMESTAMP
) ENGINE=InnoDB;

-- disabled_at: the membership was marked as spam. The row stays, with its status as it was: that is the trap.
CREATE TABLE group_member (
  group_id    INT UNSIGNED NOT NULL,
  member_id   INT UNSIGNED NOT NULL,
  status      ENUM('pending', 'active', 'left') NOT NULL DEFAULT 'pending',
  joined      TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  disabled_at DATETIME     NULL,
  PRIMARY KEY (group_id, member_id),
  KEY by_member (member_id)
) ENGINE=InnoDB;
