// What Apptainer and Singularity look for in a root file system: a directory for everything that they mount, files to
// bind their own over, and their shell files in `/.singularity.d`.

import Images
import Layers

/// The files that a flat image gets for Apptainer and Singularity.
package enum SingularityFiles {
    private static let directory = ".singularity.d"

    /// - Parameter settings: how the image is run.
    /// - Returns: parents before what is in them. What is in `.singularity.d` takes the place of what an image has there
    ///   of the same name; everything else is made where the name is free.
    package static func additions(for settings: ImageSettings) -> [FlatAddition] {
        let mountPoints = ["dev", "proc", "root", "var/tmp", "tmp", "etc", "sys", "home"]
        let links = [
            ("singularity", "runscript"), (".run", "actions/run"), (".exec", "actions/exec"),
            (".test", "actions/test"), (".shell", "actions/shell"), ("environment", "env/90-environment.sh"),
        ]
        // Singularity's own first: where an image has a link to one of them, that one counts.
        return ["", "/actions", "/env", "/libs"].map {
            FlatAddition(directory + $0, .directory, replaces: true)
        }
            + scripts(settings).map { name, text in
                FlatAddition("\(directory)/\(name)", .file(Array(text.utf8), 0o755), replaces: true)
            }
            + mountPoints.map { FlatAddition($0, .directory) }
            + ["etc/hosts", "etc/resolv.conf"].map { FlatAddition($0, .file([], 0o644)) }
            + links.map { FlatAddition($0, .link("\(directory)/\($1)")) }
    }

    private static func scripts(_ settings: ImageSettings) -> [(name: String, text: String)] {
        let environment = ShellEnvironment(settings.environment)
        return [
            ("actions/exec", SingularityScripts.exec), ("actions/run", SingularityScripts.run),
            ("actions/shell", SingularityScripts.shell), ("actions/start", SingularityScripts.start),
            ("actions/test", SingularityScripts.test),
            ("env/01-base.sh", SingularityScripts.base),
            ("env/10-docker2singularity.sh", environment.script),
            ("env/90-environment.sh", SingularityScripts.environment),
            ("env/95-apps.sh", SingularityScripts.apps), ("env/99-base.sh", SingularityScripts.libraries),
            ("env/99-runtimevars.sh", SingularityScripts.runtimeVariables),
            ("runscript", environment.runScript(settings.entrypoint, settings.command)),
            ("startscript", SingularityScripts.startScript),
        ]
    }
}
