import Testing

@Suite("The house is as it is drawn")
struct ArchitectureTests {
    @Test("every module imports only what the drawing allows")
    func imports() throws {
        for (module, imports) in try Checkout.imports() {
            let violations = Drawing.violations(in: module, importing: imports)
            #expect(violations.isEmpty, "\(violations.joined(separator: "; "))")
        }
    }

    @Test("Package.swift declares only what the drawing allows")
    func declarations() throws {
        let declared = try Checkout.declaredModules()
        #expect(declared.count >= 13)
        for (module, dependencies) in declared {
            let violations = Drawing.violations(in: module, importing: dependencies)
            #expect(violations.isEmpty, "\(violations.joined(separator: "; "))")
        }
    }

    @Test("no import goes in a circle, in the code or in the drawing")
    func circles() throws {
        for graph in [try Checkout.imports(), try Checkout.declaredModules(), Drawing.arrows] {
            for module in graph.keys {
                #expect(
                    !Drawing.reachable(from: module, over: graph).contains(module), "\(module) imports itself"
                )
            }
        }
    }

    @Test("the library products pull in neither libcurl nor libyaml")
    func libraries() throws {
        for graph in [try Checkout.imports(), try Checkout.declaredModules(), Drawing.arrows] {
            for library in Drawing.libraries {
                let reached = Drawing.reachable(from: library, over: graph)
                #expect(reached.isDisjoint(with: Drawing.notForLibraries), "\(library) reaches \(reached)")
            }
        }
    }

    @Test("every directory of Sources is drawn")
    func directories() throws {
        #expect(try Checkout.modules().filter { Drawing.arrows[$0] == nil }.isEmpty)
        #expect(try Checkout.names("Sources").filter { $0.hasSuffix(".swift") }.isEmpty)
    }

    @Test("the top of the repository holds only what belongs there")
    func topLevel() throws {
        let extra = try Checkout.names(".").filter { !$0.hasPrefix(".") && !Drawing.topLevel.contains($0) }
        #expect(extra.isEmpty)
    }

    @Test("no file has more than 400 lines", arguments: ["Sources", "Tests"])
    func lengths(folder: String) throws {
        for file in try Checkout.swiftFiles(folder) {
            let lines =
                try Checkout.text(file).split(separator: "\n", omittingEmptySubsequences: false).count - 1
            #expect(lines <= 400, "\(file)")
        }
    }

    @Test("nothing in Sources stops the program where an error should be thrown")
    func crashes() throws {
        let words = ["try!", "fatalError(", "preconditionFailure(", "as! "]
        for file in try Checkout.swiftFiles("Sources") {
            for (number, line) in try Checkout.text(file).split(
                separator: "\n", omittingEmptySubsequences: false
            ).enumerated() {
                for word in words {
                    #expect(!Checkout.code(line).contains(word), "\(file):\(number + 1)")
                }
            }
        }
    }

    @Test("tests use what a module offers, in release builds too")
    func testable() throws {
        for file in try Checkout.swiftFiles("Tests") {
            #expect(!(try Checkout.text(file).contains("@test" + "able")), "\(file)")
        }
    }
}

@Suite("The checks find what they look for")
struct CheckTests {
    @Test(
        "an import in every spelling",
        arguments: [
            ("import Images", "Images"), ("  import Images // why", "Images"),
            ("import struct Images.Digest", "Images"),
            ("@preconcurrency import Images", "Images"), ("package import Images", "Images"),
            ("@_exported public import Images", "Images"), ("let x = 1; import Images", "Images"),
            ("import func Glibc.close", "Glibc"), ("import Dispatch.Queue", "Dispatch"),
        ])
    func spellings(line: String, module: String) {
        #expect(Checkout.importedModules(in: "// a comment\n\(line)\n") == [module])
    }

    @Test(
        "text that only mentions imports is none",
        arguments: ["// import Images", "let import_ = 1", "we import it"])
    func mentions(line: String) {
        #expect(Checkout.importedModules(in: line).isEmpty)
    }

    @Test("a wrong arrow, a forbidden module and an undrawn module are named")
    func wrongArrows() {
        #expect(
            Drawing.violations(
                in: "Images", importing: ["HTTP", "Foundation", "Glibc", "CCrypto", "Logging"]) == [
                    "Images imports Foundation, which no module may",
                    "Images imports HTTP, which is not drawn",
                ])
        #expect(
            Drawing.violations(in: "Wishes", importing: ["Images", "YAML", "FoundationEssentials"]).isEmpty)
        #expect(Drawing.violations(in: "Helpers", importing: []) == ["Helpers is not in the drawing"])
        #expect(
            Drawing.violations(in: "HTTP", importing: ["CYAML"]) == ["HTTP imports CYAML, which is not drawn"]
        )
    }

    @Test("a circle and what is reached over others are found")
    func graphs() {
        let graph: [String: Set<String>] = ["A": ["B"], "B": ["C"], "C": ["A"], "D": ["C"]]
        #expect(Drawing.reachable(from: "A", over: graph).contains("A"))
        #expect(Drawing.reachable(from: "D", over: graph) == ["A", "B", "C"])
    }
}
