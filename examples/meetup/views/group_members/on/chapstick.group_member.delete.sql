DELETE FROM members WHERE group_id = :group_id AND member_id = :member_id;
