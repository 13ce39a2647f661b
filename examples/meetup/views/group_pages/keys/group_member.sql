SELECT :group_id
