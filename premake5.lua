-- Builds the Kit extension with the repo tools of kit-app-template; everything else needs only pip and make.
repo_build = require("omni/repo/build")

root = repo_build.get_abs_path(".")

kit = require("_repo/deps/repo_kit_tools/kit-template/premake5-kit")
kit.setup_all({ cppdialect = "C++17" })

-- The template looks for extensions under source/extensions only.
include("exts/cosmos.bridge")
