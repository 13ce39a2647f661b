UPDATE group_info SET name = NULL WHERE group_id = :id;

DELETE FROM group_info WHERE group_id = :id AND members = 0;
