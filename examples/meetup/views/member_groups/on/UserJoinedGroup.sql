INSERT INTO memberships (member_id, group_id, since) VALUES (:member_id, :group_id, :joined_at);

INSERT INTO group_info (group_id, members) VALUES (:group_id, 1)
ON CONFLICT (group_id) DO UPDATE SET members = members + 1;
