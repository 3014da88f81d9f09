pytest_plugins = ["chapter_lines"]
