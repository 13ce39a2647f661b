-- table: members
SELECT group_id, member_id, joined FROM chapstick.group_member WHERE status = 'active' AND disabled_at IS NULL
