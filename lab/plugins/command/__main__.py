"""Run the plugin; the engine gives its own address as the first argument."""

from lab.plugins.command.provider import CommandPlugin
from lab.plugins.serving import serve

serve(CommandPlugin())
