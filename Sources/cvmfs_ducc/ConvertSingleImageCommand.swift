// convert-single-image IMAGE REPOSITORY.

import ArgumentParser
import Conversion
import Images
import Repository
import Wishes

struct ConvertSingleImageCommand: DUCCCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert-single-image", abstract: "Converts one image.")

    @OptionGroup var image: ImageArgument

    @Argument(
        help: ArgumentHelp(
            "The repository: its name in CernVM-FS, or a directory (/…, ./…).", valueName: "repository"))
    var repository: String

    @Option(
        help: ArgumentHelp(
            "Make a thin image too and push it under this name; $(repository), $(tag) and the like stand for the image's.",
            valueName: "name"))
    var thinImageName: String?

    @Option(
        name: [.customShort("u"), .long],
        help: ArgumentHelp(
            "Push the thin image as this user; the password is that of DUCC_OUTPUT_REGISTRY_PASS, or is asked for.",
            valueName: "user"))
    var username: String?

    @OptionGroup var conversion: ConversionArguments
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if username != nil, thinImageName == nil {
            throw ValidationError("--username says who pushes a thin image: --thin-image-name is missing.")
        }
        guard let thinImageName else { return }
        do { _ = try OutputFormat(thinImageName) } catch {
            throw ValidationError("--thin-image-name: \(error).")
        }
        // Variables may make anything of the rest.
        if !thinImageName.contains("$(") {
            do { _ = try ImageReference(parsing: thinImageName) } catch {
                throw ValidationError("--thin-image-name: \(error).")
            }
        }
    }

    func execute(_ context: CommandContext) throws -> CInt {
        let reference = try image.reference()
        let options = try conversion.options()
        let client = try context.registryClient()
        let events = try context.events()
        let observer = ConsoleObserver(display: context.display, log: context.log)
        let target = try context.repository(repository)
        let thinImages = try thinImages(in: target, context)
        var summary = ConversionSummary()
        try events.run {
            try ImageConverter(
                into: target, client: client, options: options, events: events,
                observer: observer, thinImages: thinImages
            ).convert(reference) { image, result in
                context.display.finish()
                observer.imageEnded(image, result)
                summary.add(result)
            }
        }
        return summary.hasFailed ? DUCCExit.failure : DUCCExit.success
    }

    /// A password that is missing is no reason to convert nothing.
    private func thinImages(
        in repository: any ImageRepository, _ context: CommandContext
    ) throws -> ThinImages? {
        guard let thinImageName else { return nil }
        do {
            return try ThinImageChoice(context: context, conversion: conversion)
                .thinImages(named: thinImageName, by: username, in: repository)
        } catch let error as MissingPassword {
            context.log.warning("no thin image is made: \(error)")
            return nil
        }
    }
}
