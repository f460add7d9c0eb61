"""What a model may call: typed functions, each with its schema, its effect, and bounds on what it answers.

`toolbox.Tools` is the way in; it implements `core.agent.tool.Toolbox`. A field's module is loaded when one of its tools is offered.
"""
