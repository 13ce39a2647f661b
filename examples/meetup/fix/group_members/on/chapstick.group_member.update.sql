DELETE FROM members
WHERE group_id = :group_id AND member_id = :member_id AND NOT (:status = 'active' AND :disabled_at IS NULL);

INSERT INTO members (group_id, member_id, joined)
SELECT :group_id, :member_id, :joined WHERE :status = 'active' AND :disabled_at IS NULL
ON CONFLICT (group_id, member_id) DO UPDATE SET joined = excluded.joined;
