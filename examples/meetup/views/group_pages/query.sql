-- table: pages
SELECT g.id AS group_id, g.name, COUNT(m.member_id) AS members, MAX(p.karma) AS best_karma
FROM chapstick.groups_ g
LEFT JOIN chapstick.group_member m ON m.group_id = g.id AND m.status = 'active' AND m.disabled_at IS NULL
LEFT JOIN chapstick.member p ON p.id = m.member_id
GROUP BY g.id, g.name
