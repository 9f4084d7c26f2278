// convert WISHLIST: every wish, once.

import ArgumentParser
import Conversion
import Platform
import Repository
import Terminal

struct ConvertCommand: DUCCCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert", abstract: "Converts every image of a wish list.")

    @Argument(help: ArgumentHelp("The wish list, a YAML file.", valueName: "wishlist"))
    var wishList: String

    @OptionGroup var conversion: ConversionArguments
    @OptionGroup var global: GlobalOptions

    func execute(_ context: CommandContext) throws -> CInt {
        let list = try WishListFile(wishList).read()
        for warning in list.warnings { context.log.warning("\(warning)") }
        let options = try conversion.options()
        let client = try context.registryClient()
        let events = try context.events()
        let observer = ConsoleObserver(display: context.display, log: context.log)
        let repository = try context.repository(list.repository)
        let thinImages = try ThinImageChoice(context: context, conversion: conversion)
            .thinImages(of: list, in: repository)
        let began = MonotonicClock.nanoseconds()
        let summary = try events.run {
            try WishConversion.convert(
                list,
                with: ImageConverter(
                    into: repository, client: client, options: options, events: events,
                    observer: observer, thinImages: thinImages),
                observer: observer)
        }
        context.display.finish()
        let seconds = Double(MonotonicClock.nanoseconds() - began) / 1e9
        StandardStream.output(ConsoleObserver.summary(summary, seconds: seconds))
        return summary.hasFailed ? DUCCExit.failure : DUCCExit.success
    }
}
