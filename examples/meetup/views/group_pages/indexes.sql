-- what keys/member.sql asks
CREATE INDEX group_member_by_member ON group_member (member_id);
