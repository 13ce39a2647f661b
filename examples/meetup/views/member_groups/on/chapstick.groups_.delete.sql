DELETE FROM group_info WHERE group_id = :id;
