-- The extension owns cosmos/bridge; cosmos/models and its weights come from the second source root of the repository.
-- Both are leaves of one namespace, so each is linked by itself and neither brings a cosmos/__init__.py.
local ext = get_current_extension_info()

project_ext(ext)

repo_build.prebuild_link {
    { "data", ext.target_dir.."/data" },
    { "docs", ext.target_dir.."/docs" },
    { "cosmos/bridge", ext.target_dir.."/cosmos/bridge" },
    { root.."/models/cosmos/models", ext.target_dir.."/cosmos/models" },
    { root.."/models/weights", ext.target_dir.."/weights" },
}
