-- Something to look at; dev only.
\connect skillbase
SET ROLE skillbase;

INSERT INTO skill (name) VALUES ('Cooperage'), ('Joinery'), ('SQL');
INSERT INTO member (email, name) VALUES
    ('ada@skillbase.example', 'Ada'),
    ('grace@skillbase.example', 'Grace');
INSERT INTO member_skill (member_id, skill_id, level)
    SELECT member.id, skill.id, 3 FROM member, skill WHERE skill.name = 'SQL';
