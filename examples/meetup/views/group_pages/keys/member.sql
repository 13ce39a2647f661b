-- a member's karma shows on the pages of all groups that it is in
SELECT group_id FROM chapstick.group_member WHERE member_id = :id
