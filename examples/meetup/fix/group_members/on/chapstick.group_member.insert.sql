INSERT INTO members (group_id, member_id, joined)
SELECT :group_id, :member_id, :joined WHERE :status = 'active' AND :disabled_at IS NULL
ON CONFLICT (group_id, member_id) DO UPDATE SET joined = excluded.joined;
