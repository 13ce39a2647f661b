-- table: memberships
SELECT member_id, group_id, joined AS since FROM chapstick.group_member
WHERE status = 'active' AND disabled_at IS NULL

-- table: group_info
SELECT g.id AS group_id, g.name, COUNT(m.member_id) AS members
FROM chapstick.groups_ g
LEFT JOIN chapstick.group_member m ON m.group_id = g.id AND m.status = 'active' AND m.disabled_at IS NULL
GROUP BY g.id, g.name
