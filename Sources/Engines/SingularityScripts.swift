// The shell files of a flat image that are the same in every image, in our own words, after what Apptainer and
// Singularity document of the files in `/.singularity.d` (user guide, "Environment and Metadata", "Running Commands",
// SCIF "The Scientific Filesystem"): `apptainer exec` runs `actions/exec`, and so on; each reads `env/*.sh` in order.
//
// POSIX sh: an image's `/bin/sh` may be dash, bash or busybox. None leaves a variable of its own behind, sets one that
// the image or the caller doesn't have, or changes one for nothing: what is run sees the image's environment as
// `podman run` gives it.

/// Texts of shell files.
enum SingularityScripts {
    /// Keeps a shell's own variables from the program.
    static let quiet = #"""
        # What a shell exports of its own accord must not reach the program. Where
        # bash would put SHLVL back on exec, an array of that name stops it: arrays
        # never enter an environment.
        unset PWD OLDPWD SHLVL
        # shellcheck disable=SC3044
        if (declare -a SHLVL) 2>/dev/null; then declare -a SHLVL; fi
        """#

    /// Becomes the program "$@".
    static let becomeProgram = #"""
        # A name with a leading dash needs "--", which some old shells do not know.
        # shellcheck disable=SC3038
        case $1 in
        -*) if (exec -- /bin/sh -c :) 2>/dev/null; then exec -- "$@"; fi ;;
        esac
        exec "$@"

        """#

    /// Becomes the program "$@" with further variables, where the image has a program for that; else returns.
    ///
    /// - Parameter variables: `NAME=VALUE` each, quoted, with a blank in front.
    static func becomeWithVariables(_ variables: String) -> String {
        #"""

        # Variables which a shell cannot pass on as they are: env does it, if there is
        # one. It takes a program with "=" in its name for a variable; nice does not, and
        # with -n 0 it changes nothing.
        singularity_image_exec() {
            case $1 in
            -*=*) return 0 ;;
            *=*)
                if [ -x /usr/bin/nice ]; then
                    set -- /usr/bin/nice -n 0 "$@"
                elif [ -x /bin/nice ]; then
                    set -- /bin/nice -n 0 "$@"
                else
                    return 0
                fi
                ;;
            esac
            set --\#(variables) "$@"
            if [ -x /usr/bin/env ]; then exec /usr/bin/env -- "$@"; fi
            if [ -x /bin/env ]; then exec /bin/env -- "$@"; fi
        }

        """#
    }

    /// The beginning of every action: the image's environment.
    private static let prelude = #"""
        \#(quiet)

        for singularity_d_file in /.singularity.d/env/*.sh; do
            # shellcheck disable=SC1090
            if [ -f "$singularity_d_file" ]; then . "$singularity_d_file"; fi
        done
        unset singularity_d_file
        """#

    /// Becomes the program "$@".
    private static let becoming = #"""
        # Becomes the program "$@". The image's environment file may define
        # singularity_image_exec, for variables that a shell cannot hold; it returns
        # when it can do nothing. A name with a leading dash needs "--", which some
        # old shells do not know.
        singularity_d_exec() {
            if command -v singularity_image_exec >/dev/null 2>&1; then
                singularity_image_exec "$@"
            fi
            # shellcheck disable=SC3038
            case $1 in
            -*) if (exec -- /bin/sh -c :) 2>/dev/null; then exec -- "$@"; fi ;;
            esac
            exec "$@"
        }
        """#

    /// Becomes a file of the chosen SCIF app, where one is chosen.
    private static func app(_ name: String) -> String {
        #"""
        case ${APPTAINER_APPNAME:-${SINGULARITY_APPNAME:-}} in
        '') ;;
        */* | . | ..)
            echo "Not a name of an app: ${APPTAINER_APPNAME:-$SINGULARITY_APPNAME}" >&2
            exit 1
            ;;
        *)
            set -- "/scif/apps/${APPTAINER_APPNAME:-$SINGULARITY_APPNAME}/scif/\#(name)" "$@"
            if [ -x "$1" ]; then singularity_d_exec "$@"; fi
            echo "App ${APPTAINER_APPNAME:-$SINGULARITY_APPNAME} has no \#(name) in this container" >&2
            exit 1
            ;;
        esac
        """#
    }

    /// `apptainer exec`.
    static let exec = #"""
        #!/bin/sh
        # Runs a program of the container in the environment of the image.

        \#(prelude)

        \#(becoming)

        if [ "$#" -eq 0 ]; then
            echo "No program to execute was named" >&2
            exit 1
        fi
        singularity_d_exec "$@"

        """#

    /// `apptainer run`.
    static let run = #"""
        #!/bin/sh
        # Runs what the image, or the chosen SCIF app in it, is there to run.

        \#(prelude)

        \#(becoming)

        \#(app("runscript"))
        if [ -x /.singularity.d/runscript ]; then
            exec /.singularity.d/runscript "$@"
        fi
        echo "This container has no runscript: starting /bin/sh instead" >&2
        exec /bin/sh

        """#

    /// `apptainer shell`.
    static let shell = #"""
        #!/bin/sh
        # Opens a shell in the container.

        \#(prelude)

        PS1='Singularity> '
        export PS1
        if [ -x "${APPTAINER_SHELL:-${SINGULARITY_SHELL:-}}" ]; then
            SHELL=${APPTAINER_SHELL:-${SINGULARITY_SHELL:-}}
            export SHELL
            exec "$SHELL" "$@"
        fi
        if [ -x /bin/bash ]; then
            SHELL=/bin/bash
            export SHELL
            exec /bin/bash --norc "$@"
        fi
        if [ -x /bin/sh ]; then
            SHELL=/bin/sh
            export SHELL
            exec /bin/sh "$@"
        fi
        echo "There is no /bin/sh in this container" >&2
        exit 1

        """#

    /// `apptainer instance start`.
    static let start = #"""
        #!/bin/sh
        # Starts what an instance of this image is to keep running.

        # The first process of the instance waits, stopped, until it is told to go on.
        kill -CONT 1

        \#(prelude)

        if [ -x /.singularity.d/startscript ]; then
            exec /.singularity.d/startscript "$@"
        fi

        """#

    /// `apptainer test`.
    static let test = #"""
        #!/bin/sh
        # Runs the test of the image, or of the chosen SCIF app in it.

        \#(prelude)

        \#(becoming)

        \#(app("test"))
        if [ -x /.singularity.d/test ]; then
            exec /.singularity.d/test "$@"
        fi
        echo "This container has no test"
        exit 0

        """#

    /// What an instance runs.
    static let startScript = #"""
        #!/bin/sh
        # An instance of this image has nothing of its own to start.

        """#

    /// `env/01-base.sh`.
    static let base = #"""
        #!/bin/sh
        # Comes first. Nothing has to be set before the variables of the image.

        """#

    /// `env/90-environment.sh`.
    static let environment = #"""
        #!/bin/sh
        # The place for a site's own additions to the environment of this image.

        """#

    /// `env/95-apps.sh`.
    static let apps = #"""
        #!/bin/sh
        # Makes the chosen SCIF app usable. Changes nothing when no app is chosen.

        case ${APPTAINER_APPNAME:-${SINGULARITY_APPNAME:-}} in
        '' | */* | . | ..) ;;
        *)
            if [ -d "/scif/apps/${APPTAINER_APPNAME:-$SINGULARITY_APPNAME}" ]; then
                SCIF_APPS=/scif/apps
                SCIF_APPNAME=${APPTAINER_APPNAME:-$SINGULARITY_APPNAME}
                SCIF_APPROOT=$SCIF_APPS/$SCIF_APPNAME
                export SCIF_APPS SCIF_APPNAME SCIF_APPROOT
                if [ -d "$SCIF_APPROOT/bin" ]; then
                    PATH=$SCIF_APPROOT/bin${PATH:+":$PATH"}
                    export PATH
                fi
                if [ -d "$SCIF_APPROOT/lib" ]; then
                    LD_LIBRARY_PATH=$SCIF_APPROOT/lib${LD_LIBRARY_PATH:+":$LD_LIBRARY_PATH"}
                    export LD_LIBRARY_PATH
                fi
                for singularity_d_app_file in "$SCIF_APPROOT"/scif/env/*.sh; do
                    # shellcheck disable=SC1090
                    if [ -f "$singularity_d_app_file" ]; then . "$singularity_d_app_file"; fi
                done
                unset singularity_d_app_file
            fi
            ;;
        esac

        """#

    /// `env/99-base.sh`.
    static let libraries = #"""
        #!/bin/sh
        # Libraries that were bound in from the host (those of a GPU, for one) are
        # searched last. While there are none, LD_LIBRARY_PATH stays as it is.

        singularity_d_libs() {
            if [ -e "$1" ] || [ -h "$1" ]; then
                case :${LD_LIBRARY_PATH:-}: in
                *:/.singularity.d/libs:*) ;;
                *) LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+"$LD_LIBRARY_PATH:"}/.singularity.d/libs ;;
                esac
                export LD_LIBRARY_PATH
            fi
        }
        singularity_d_libs /.singularity.d/libs/*
        unset -f singularity_d_libs

        """#

    /// `env/99-runtimevars.sh`.
    static let runtimeVariables = #"""
        #!/bin/sh
        # Applies what the caller asked for about PATH, and drops the requests.

        if [ -n "${SING_USER_DEFINED_PATH:-}" ]; then
            PATH=$SING_USER_DEFINED_PATH
            export PATH
        fi
        if [ -n "${SING_USER_DEFINED_PREPEND_PATH:-}" ]; then
            PATH=$SING_USER_DEFINED_PREPEND_PATH${PATH:+":$PATH"}
            export PATH
        fi
        if [ -n "${SING_USER_DEFINED_APPEND_PATH:-}" ]; then
            PATH=${PATH:+"$PATH:"}$SING_USER_DEFINED_APPEND_PATH
            export PATH
        fi
        unset SING_USER_DEFINED_PATH SING_USER_DEFINED_PREPEND_PATH SING_USER_DEFINED_APPEND_PATH

        """#
}
