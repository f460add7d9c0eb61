"""What personas do without a model: skills in limited child processes, inside the workspace only.

`runner.SkillRunner` is the way in; it implements `core.agent.skill.Skills`. Everything else runs in the child.
"""
