INSERT INTO group_info (group_id, name) VALUES (:id, :name)
ON CONFLICT (group_id) DO UPDATE SET name = excluded.name;
