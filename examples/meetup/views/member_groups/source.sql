-- table: memberships
SELECT member_id, group_id, joined AS since FROM chapstick.group_member
WHERE status = 'active' AND disabled_at IS NULL

-- table: group_info
SELECT i.group_id, g.name, COUNT(m.member_id) AS members
FROM (SELECT id AS group_id FROM chapstick.groups_
      UNION
      SELECT group_id FROM chapstick.group_member WHERE status = 'active' AND disabled_at IS NULL) i
LEFT JOIN chapstick.groups_ g ON g.id = i.group_id
LEFT JOIN chapstick.group_member m ON m.group_id = i.group_id AND m.status = 'active' AND m.disabled_at IS NULL
GROUP BY i.group_id, g.name
