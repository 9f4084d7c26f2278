// convert-single-image IMAGE REPOSITORY.

import ArgumentParser
import Conversion
import Repository

struct ConvertSingleImageCommand: DUCCCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert-single-image", abstract: "Converts one image.")

    @OptionGroup var image: ImageArgument

    @Argument(
        help: ArgumentHelp(
            "The repository: its name in CernVM-FS, or a directory (/…, ./…).", valueName: "repository"))
    var repository: String

    @OptionGroup var conversion: ConversionArguments
    @OptionGroup var global: GlobalOptions

    func execute(_ context: CommandContext) throws -> CInt {
        let reference = try image.reference()
        let options = try conversion.options()
        let client = try context.registryClient()
        let events = try context.events()
        let observer = ConsoleObserver(display: context.display, log: context.log)
        let target = try context.repository(repository)
        var summary = ConversionSummary()
        try events.run {
            try ImageConverter(
                into: target, client: client, options: options, events: events,
                observer: observer
            ).convert(reference) { image, result in
                context.display.finish()
                observer.imageEnded(image, result)
                summary.add(result)
            }
        }
        return summary.hasFailed ? DUCCExit.failure : DUCCExit.success
    }
}
