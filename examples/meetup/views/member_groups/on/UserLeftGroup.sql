DELETE FROM memberships WHERE member_id = :member_id AND group_id = :group_id;

UPDATE group_info SET members = members - 1 WHERE group_id = :group_id;

DELETE FROM group_info WHERE group_id = :group_id AND members = 0 AND name IS NULL;
