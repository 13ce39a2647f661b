DELETE FROM members
WHERE group_id = :group_id AND member_id = :member_id AND :status <> 'active';

INSERT INTO members (group_id, member_id, joined)
SELECT :group_id, :member_id, :joined WHERE :status = 'active'
ON CONFLICT (group_id, member_id) DO UPDATE SET joined = excluded.joined;
