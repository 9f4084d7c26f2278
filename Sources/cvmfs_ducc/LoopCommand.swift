// loop WISHLIST: every wish, again and again, until a signal.

import ArgumentParser
import Conversion
import Platform
import Registry
import Repository
import Terminal
import Wishes

struct LoopCommand: DUCCCommand {
    static let configuration = CommandConfiguration(
        commandName: "loop", abstract: "Converts every image of a wish list, again and again.",
        discussion: """
            The list is read anew at each turn. One that can't be used is reported, and the last good one is kept. \
            SIGINT and SIGTERM end the loop, whatever it is doing.
            """)

    @Argument(help: ArgumentHelp("The wish list, a YAML file.", valueName: "wishlist"))
    var wishList: String

    @Option(help: ArgumentHelp("How long to wait between two turns.", valueName: "seconds"))
    var interval = 10.0

    @OptionGroup var conversion: ConversionArguments
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard interval >= 0, interval <= 365 * 86_400 else {
            throw ValidationError("--interval takes seconds, from 0 to a year of them.")
        }
    }

    func execute(_ context: CommandContext) throws -> CInt {
        let file = WishListFile(wishList)
        var list = try file.read()
        for warning in list.warnings { context.log.warning("\(warning)") }
        let options = try conversion.options()
        let client = try context.registryClient()
        let events = try context.events()
        // What can't work is said at once; later a repository may come back.
        let repository = try context.repository(list.repository)
        let choice = ThinImageChoice(context: context, conversion: conversion)
        var turn = Turn(
            context: context, options: options, events: events, client: client, skips: SkipMemory(),
            choice: choice, thinImages: try choice.thinImages(of: list, in: repository), chosenFor: list)
        return try events.run { () -> CInt in
            var complaint = ""
            while true {
                try turn.convert(list)
                try Interruption.sleep(milliseconds: Int(interval * 1000))
                do throws(WishListError) {
                    let newest = try file.read()
                    for warning in newest.warnings where !list.warnings.contains(warning) {
                        context.log.warning("\(warning)")
                    }
                    list = newest
                    complaint = ""
                } catch {
                    // Said once, not at each turn until somebody has mended it.
                    if complaint != error.description {
                        context.log.error("\(error): going on with the list as it was")
                    }
                    complaint = error.description
                }
            }
        }
    }
}

/// What goes on from turn to turn.
private struct Turn {
    let context: CommandContext
    let options: ConversionOptions
    let events: ConversionEvents
    let client: RegistryClient
    let skips: SkipMemory
    let choice: ThinImageChoice
    var thinImages: ThinImages?
    /// The list by which that was decided.
    var chosenFor: WishList
    /// What was said the last time that it couldn't be.
    var complaint = ""

    /// Decides anew where a list asks for other thin images, or as somebody else; where that can't be, at the next turn.
    private mutating func chooseThinImages(_ list: WishList, in repository: any ImageRepository) throws {
        guard
            list.user != chosenFor.user || list.outputFormat != chosenFor.outputFormat
                || list.repository != chosenFor.repository
        else { return }
        thinImages = nil
        do {
            thinImages = try choice.thinImages(of: list, in: repository)
            chosenFor = list
            complaint = ""
        } catch let error where !(error is Interrupted) {
            if complaint != "\(error)" { context.log.error("no thin images are made: \(error)") }
            complaint = "\(error)"
        }
    }

    /// Converts every wish, once.
    ///
    /// - Throws: `Interrupted`.
    mutating func convert(_ list: WishList) throws {
        let repository: any ImageRepository
        do { repository = try context.repository(list.repository) } catch let error as RepositoryError {
            context.log.error("\(error): nothing is converted at this turn")
            return
        }
        try chooseThinImages(list, in: repository)
        let observer = ConsoleObserver(display: context.display, log: context.log)
        let began = MonotonicClock.nanoseconds()
        let summary = try WishConversion.iterate(
            list, into: repository.name,
            with: ImageConverter(
                into: repository, client: client, options: options, events: events, observer: observer,
                thinImages: thinImages, skips: skips), events: events, observer: observer)
        context.display.finish()
        let seconds = Double(MonotonicClock.nanoseconds() - began) / 1e9
        context.log.info("\(ConsoleObserver.summary(summary, seconds: seconds))")
    }
}
