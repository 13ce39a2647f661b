INSERT INTO members (group_id, member_id, joined)
SELECT :group_id, :member_id, :joined WHERE :status = 'active'
ON CONFLICT (group_id, member_id) DO UPDATE SET joined = excluded.joined;
